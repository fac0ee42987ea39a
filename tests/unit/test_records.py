"""Records of releases: kept with the index, and read back."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from registrybed import serving
from tinyimage import make_image, put_image

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.artifact import Part, build_artifact
from minios_steps.core.oci.index import Index, build_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.records import (
    RECORD_TYPE,
    CellOutcome,
    ReleaseRecord,
    Trigger,
    attach,
    find_records,
)
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from pathlib import Path

OLD = "sha256:" + "0" * 64


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "out")


@pytest.fixture
def index(layout: Layout, tmp_path: Path) -> Index:
    (tmp_path / "layers").mkdir()
    image = make_image(tmp_path / "layers")
    put_image(layout, image)
    made = build_index([image.descriptor], {})
    layout.publish({"latest": made.descriptor}, raw=[made.raw])
    return made


def record(index: Index, time: str = "2026-01-02T03:04:05.678+00:00") -> ReleaseRecord:
    cell = CellOutcome("x86_64", "published", digest=OLD, key=OLD, size=7, inputs={"applets": ["a"]})
    return ReleaseRecord(
        action="release",
        version="1.38.0",
        variant="static",
        index=str(index.descriptor.digest),
        tags=("1.38.0", "latest"),
        previous={"latest": OLD},
        time=time,
        trigger=Trigger(owner="somebody", reason="because", scheduler="force", build="http://127.0.0.1/#/1"),
        versions={"minios": "1"},
        config=OLD,
        source_sha256="b" * 64,
        cells=(cell,),
        left_out={"sw64": "no-worker"},
    )


def test_json_and_back(index: Index) -> None:
    told = record(index).as_json()
    assert ReleaseRecord.from_json(json.loads(json.dumps(told))) == record(index)
    assert (told["schema"], told["tags"], told["cells"][0]["arch"]) == (1, ["1.38.0", "latest"], "x86_64")


def test_of_a_later_version(index: Index) -> None:
    told = {**record(index).as_json(), "mood": "good"}
    assert ReleaseRecord.from_json(told) == record(index)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"index": 7}, "index: "), ({"schema": 2}, "schema: "), ({"cells": [{}]}, r"cells\.0\.arch: ")],
)
def test_malformed(index: Index, change: dict[str, object], why: str) -> None:
    with pytest.raises(ImageError, match=f"not a release's record: {why}"):
        ReleaseRecord.from_json({**record(index).as_json(), **change})


def test_kept_in_a_layout(layout: Layout, index: Index) -> None:
    store = LayoutStore(layout)
    assert find_records(store, index.descriptor.digest) == ()
    older, newer = record(index), record(index, "2026-01-02T03:04:05.679+00:00")
    assert attach(store, newer, index.descriptor)
    assert attach(store, older, index.descriptor)
    assert not attach(store, newer, index.descriptor)
    other = build_artifact(index.descriptor, "application/x.other", [Part("text/plain", b"x")])
    other.attach_to(store)
    layout.collect()
    assert find_records(store, index.descriptor.digest) == (newer, older)


def test_kept_in_a_registry(index: Index) -> None:
    with serving() as bed, bed.client() as client:
        store = RegistryStore(client, "team/app")
        store.put_manifest(index.raw, index.media_type)
        attach(store, record(index), index.descriptor)
        assert find_records(store, index.descriptor.digest) == (record(index),)
        (found,) = store.referrers(index.descriptor.digest)
        assert found.artifact_type == RECORD_TYPE
        assert found.descriptor.annotations["org.opencontainers.image.version"] == "1.38.0"


def test_of_another_index(layout: Layout, index: Index) -> None:
    other = dataclasses.replace(record(index), index=OLD)
    with pytest.raises(ImageError, match=f"the record is of {OLD}, not of"):
        attach(LayoutStore(layout), other, index.descriptor)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([Part(RECORD_TYPE, b"{")], "not JSON"),
        ([Part(RECORD_TYPE, b"[]")], "not a release's record"),
        ([Part("text/plain", b"x")], "expected one blob"),
    ],
)
def test_no_record_in_it(layout: Layout, index: Index, parts: list[Part], why: str) -> None:
    store = LayoutStore(layout)
    made = build_artifact(index.descriptor, RECORD_TYPE, parts)
    made.attach_to(store)
    with pytest.raises(ImageError, match=f"oci:.*: release record {Digest.of(made.manifest)}: {why}"):
        find_records(store, index.descriptor.digest)
