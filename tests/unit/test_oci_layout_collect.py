"""`Layout.collect`: what no tag leads to is removed, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from layoutbed import Release, names, sound
from tinyimage import make_image, put_image

from minios_steps.core.oci.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def old(tmp_path: Path) -> Release:
    return Release(tmp_path / "layers", "linux/amd64", note="old")


@pytest.fixture
def new(tmp_path: Path) -> Release:
    return Release(tmp_path / "layers", "linux/amd64", "linux/arm64/v8", note="new")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "out" / "minios")


def test_collect_removes_what_no_tag_leads_to(layout: Layout, old: Release, new: Release) -> None:
    old.publish(layout, "latest")
    new.publish(layout, "latest")
    stray = layout.put_bytes(b"stray")
    kept = make_image(layout.root.parent, key="kept")
    put_image(layout, kept)
    assert layout.collect([kept.descriptor], min_age=60) == 0
    # The old index, its manifest, and the stray one: config and layer are the new one's too.
    assert layout.collect([kept.descriptor]) == 3
    assert not layout.has_blob(stray)
    layout.check(kept.descriptor)
    assert layout.collect() == 1
    assert sound(layout) == {"latest": str(new.index.descriptor.digest)}
    assert layout.collect() == 0


def test_collect_removes_nothing_when_an_entry_cannot_be_followed(layout: Layout, new: Release) -> None:
    new.publish(layout, "latest")
    stray = layout.put_bytes(b"stray")
    layout.blob_path(new.index.descriptor.digest).unlink()
    assert layout.collect() == 0
    assert layout.has_blob(stray)


def test_collect_removes_what_dead_writers_left(layout: Layout) -> None:
    layout.create()
    for name, age in ((".tmp-old", 9999), (".tmp-new", 0)):
        path = layout.root / name
        path.write_bytes(b"half")
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
    layout.collect()
    assert names(layout.root) == [".tmp-new", "blobs", "index.json", "oci-layout"]


def test_collect_of_nothing_is_nothing(layout: Layout) -> None:
    assert layout.collect() == 0
    assert not layout.root.parent.exists()
