"""What a layout takes and gives: whole images, and tags that lead to what is there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from layoutbed import Release, names, sound

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.model import Descriptor

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


def test_publish_makes_a_whole_layout(layout: Layout, new: Release) -> None:
    assert not layout.exists
    assert layout.tags() == {}
    assert new.publish(layout, "1.38.0", "latest")
    assert sound(layout) == dict.fromkeys(("1.38.0", "latest"), str(new.index.descriptor.digest))
    assert layout.tags()["latest"] == new.index.descriptor
    assert layout.read(new.index.descriptor.digest) == new.index.raw
    assert json.loads((layout.root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    told = json.loads((layout.root / "index.json").read_bytes())
    assert told["manifests"][0] == {
        **new.index.descriptor.as_json(),
        "annotations": {"org.opencontainers.image.ref.name": "1.38.0"},
    }
    assert names(layout.root) == ["blobs", "index.json", "oci-layout"]
    assert names(layout.root.parent) == [".minios.lock", "minios"]


def test_files_are_readable_whatever_the_umask(layout: Layout, new: Release) -> None:
    before = os.umask(0o077)
    try:
        new.publish(layout, "latest")
    finally:
        os.umask(before)
    for path in (layout.root, *layout.root.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_second_publish_of_the_same_writes_nothing(layout: Layout, new: Release) -> None:
    new.publish(layout, "latest")
    before = (layout.root / "index.json").stat()
    assert not new.publish(layout, "latest")
    assert (layout.root / "index.json").stat().st_ino == before.st_ino


def test_tags_move_and_others_stay(layout: Layout, old: Release, new: Release) -> None:
    old.publish(layout, "1.37.0", "latest")
    assert new.publish(layout, "1.38.0", "latest")
    one, two = str(old.index.descriptor.digest), str(new.index.descriptor.digest)
    assert sound(layout) == {"1.37.0": one, "1.38.0": two, "latest": two}


def test_entries_of_others_stay_as_they_are(layout: Layout, old: Release, new: Release) -> None:
    old.publish(layout, "theirs")
    path = layout.root / "index.json"
    told = json.loads(path.read_bytes())
    told["manifests"][0]["urls"] = ["https://example.org/"]
    told["manifests"].append({k: v for k, v in told["manifests"][0].items() if k != "annotations"})
    told["annotations"] = {"who": "they"}
    path.write_text(json.dumps(told))
    new.publish(layout, "ours")
    after = json.loads(path.read_bytes())
    assert after["annotations"] == {"who": "they"}
    assert [entry for entry in after["manifests"] if entry.get("urls")] == told["manifests"][::-1]
    assert set(layout.tags()) == {"ours", "theirs"}


def test_damaged_blob_is_written_again(layout: Layout, new: Release) -> None:
    new.publish(layout, "latest")
    path = layout.blob_path(new.images[0].layer.digest)
    path.write_bytes(b"rotten")
    with pytest.raises(ImageError, match="missing or damaged"):
        sound(layout)
    assert new.publish(layout, "latest")
    sound(layout)


@pytest.mark.parametrize("missing", ["config", "layer", "manifest", "index"])
def test_tag_never_points_at_what_is_not_there(
    layout: Layout, old: Release, new: Release, missing: str
) -> None:
    old.publish(layout, "latest")
    image = new.images[1]
    raw = {
        "index": new.index.raw,
        "manifest": image.manifest,
        "config": image.config,
    }
    raw.pop(missing, None)
    files = {} if missing == "layer" else {image.layer.digest: image.layer.path}
    both = [new.images[0].config, new.images[0].manifest]
    files |= {new.images[0].layer.digest: new.images[0].layer.path}
    with pytest.raises(ImageError, match="is missing"):
        layout.publish({"latest": new.index.descriptor}, raw=[*raw.values(), *both], files=files)
    assert sound(layout) == {"latest": str(old.index.descriptor.digest)}
    fresh = Layout(layout.root.with_name("fresh"))
    with pytest.raises(ImageError, match="is missing"):
        fresh.publish({"latest": new.index.descriptor}, raw=raw.values(), files=files)
    assert names(layout.root.parent) == [".fresh.lock", ".minios.lock", "minios"]


def test_size_must_be_the_descriptors(layout: Layout) -> None:
    layout.create()
    digest = layout.put_bytes(b'{"schemaVersion":2,"manifests":[]}')
    with pytest.raises(ImageError, match="has 34 bytes, its descriptor says 35"):
        layout.publish({"latest": Descriptor(media.INDEX, digest, 35)})


@pytest.mark.parametrize("tag", ["", "-x", "a/b", "../x", "a b", "x" * 129, "ü"])
def test_bad_tags_are_refused(layout: Layout, new: Release, tag: str) -> None:
    with pytest.raises(ImageError, match="not a tag"):
        new.publish(layout, tag)
    assert not layout.root.exists()


def test_what_is_no_layout_is_left_alone(layout: Layout, new: Release) -> None:
    layout.root.mkdir(parents=True)
    (layout.root / "thesis.txt").write_text("mine")
    with pytest.raises(ImageError, match="is there and is no OCI image layout"):
        new.publish(layout, "latest")
    assert names(layout.root) == ["thesis.txt"]
    (layout.root / "thesis.txt").unlink()
    new.publish(layout, "latest")
    assert sound(layout), "an empty folder is taken"


def test_damaged_index_is_told(layout: Layout, new: Release) -> None:
    new.publish(layout, "latest")
    (layout.root / "index.json").write_text("{")
    with pytest.raises(ImageError, match=r"index\.json: not JSON"):
        new.publish(layout, "latest")


def test_read_hashes_again_and_keeps_the_limit(layout: Layout) -> None:
    digest = layout.put_bytes(b"12345")
    assert layout.has_blob(digest)
    assert layout.read(digest, 5) == b"12345"
    with pytest.raises(ImageError, match="larger than the 4 bytes allowed"):
        layout.read(digest, 4)
    layout.blob_path(digest).write_bytes(b"54321")
    with pytest.raises(ImageError, match="is damaged"):
        layout.read(digest)
    with pytest.raises(ImageError, match="is missing"):
        layout.read(Digest.of(b"nothing"))
    assert not layout.has_blob(Digest.of(b"nothing"))


def test_put_file_believes_no_name(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one")
    with pytest.raises(ImageError, match=r"expected sha256 .*, found "):
        layout.put_file(tmp_path / "f", Digest.of(b"two"))
    with pytest.raises(ImageError, match="cannot read"):
        layout.put_file(tmp_path / "missing", Digest.of(b"two"))
    assert names(layout.root / "blobs" / "sha256") == []
    assert names(layout.root) == ["blobs", "index.json", "oci-layout"]
