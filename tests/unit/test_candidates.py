from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from tinyimage import make_image

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_record import CellRecord
from minios_steps.core.cellkey import CellInputs
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.oci.image import Image

INPUTS = CellInputs(
    version="1.38.0",
    source_sha256="1" * 64,
    patches=(),
    kconfig="CONFIG_ENV=y\n",
    kconfig_base="defconfig",
    variant="static",
    arch="x86_64",
    platform="linux/amd64",
    make_arch="x86_64",
    prefix="",
    toolchain="gcc version 12.2.0",
    skeleton="2" * 64,
    epoch=1700000000,
    command=("/bin/sh",),
    labels=(),
)


@pytest.fixture
def store(tmp_path: Path) -> CandidateStore:
    return CandidateStore(tmp_path / "store")


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    folder = tmp_path / "layers"
    folder.mkdir()
    return folder


def made(layers: Path, inputs: CellInputs = INPUTS, **changes: Any) -> tuple[CellRecord, Image]:
    image = make_image(layers, key=str(inputs.key))
    record = CellRecord(
        key=inputs.key,
        arch=inputs.arch,
        version=inputs.version,
        variant=inputs.variant,
        descriptor=image.descriptor,
        inputs=inputs.as_json(),
        smoke=({"name": "shell", "ok": True},),
        size=1234,
        built="2026-01-02T03:04:05+00:00",
    )
    return dataclasses.replace(record, **changes), image


def put(store: CandidateStore, record: CellRecord, image: Image) -> CellRecord:
    store.put(record, layer=image.layer, config=image.config, manifest=image.manifest)
    return record


def path_of(store: CandidateStore, record: CellRecord) -> Path:
    return store.root / "cells" / f"{record.key.hex}.json"


def test_record_comes_back(store: CandidateStore, layers: Path) -> None:
    assert store.find(INPUTS.key) is None
    record = put(store, *made(layers))
    found = store.find(INPUTS.key)
    assert found == record
    assert CellRecord.from_json(json.loads(json.dumps(record.as_json()))) == record
    assert CellInputs.from_json(found.inputs) == INPUTS
    assert not list(store.root.glob("**/.tmp-*"))


def test_blobs_are_manifest_config_and_layer(store: CandidateStore, layers: Path) -> None:
    record, image = made(layers)
    put(store, record, image)
    assert store.blobs(record.descriptor) == (
        record.descriptor.digest,
        Digest.of(image.config),
        image.layer.digest,
    )


def test_putting_twice_writes_no_blob_again(store: CandidateStore, layers: Path) -> None:
    record, image = made(layers)
    put(store, record, image)
    before = {
        digest: store.layout.blob_path(digest).stat().st_ino for digest in store.blobs(record.descriptor)
    }
    put(store, record, image)
    assert before == {digest: store.layout.blob_path(digest).stat().st_ino for digest in before}


def test_record_without_its_blobs_is_refused(store: CandidateStore, layers: Path) -> None:
    record, image = made(layers)
    with pytest.raises(ImageError, match="is missing"):
        store.record(record)
    with pytest.raises(ImageError, match="of another manifest"):
        store.put(record, layer=image.layer, config=image.config, manifest=b"{}")
    assert store.find(record.key) is None


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("damage", ["rot", "lose"])
def test_damaged_blobs_are_never_reused(store: CandidateStore, layers: Path, which: int, damage: str) -> None:
    record, image = made(layers)
    put(store, record, image)
    digest = store.blobs(record.descriptor)[which]
    path = store.layout.blob_path(digest)
    if damage == "lose":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    told: list[str] = []
    assert store.find(record.key, told.append) is None
    assert len(told) == 1
    assert str(digest) in told[0]
    assert store.find(record.key) is None, "nobody need listen"
    put(store, record, image)
    assert store.find(record.key) == record


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": "sha256:0"}', "OTHER"])
def test_damaged_records_are_told_and_skipped(store: CandidateStore, layers: Path, text: str) -> None:
    record = put(store, *made(layers))
    other = {**record.as_json(), "key": "sha256:" + "0" * 64}
    path_of(store, record).write_text(json.dumps(other) if text == "OTHER" else text)
    told: list[str] = []
    assert store.find(record.key, told.append) is None
    assert len(told) == 1
    assert told[0].startswith(str(path_of(store, record)))
    assert store.latest("x86_64", "1.38.0", "static") is None


def test_latest_is_the_newest_of_its_kind(store: CandidateStore, layers: Path) -> None:
    for day in (2, 9, 5):
        inputs = dataclasses.replace(INPUTS, epoch=day)
        put(store, *made(layers, inputs, built=f"2026-01-0{day}T00:00:00+00:00"))
    later = dataclasses.replace(INPUTS, arch="riscv64")
    put(store, *made(layers, later, built="2027-01-01T00:00:00+00:00"))
    found = store.latest("x86_64", "1.38.0", "static")
    assert found
    assert found.inputs["epoch"] == 9
    assert store.latest("x86_64", "1.38.0", "dynamic") is None


def test_rebuild_is_explained(store: CandidateStore, layers: Path) -> None:
    assert store.explain(INPUTS) == "not built before"
    record = put(store, *made(layers))
    assert "12.3.0" in store.explain(dataclasses.replace(INPUTS, toolchain="gcc version 12.3.0"))
    assert "damaged" in store.explain(INPUTS)
    path_of(store, record).write_text(json.dumps({**record.as_json(), "inputs": {"version": 5}}))
    assert "damaged" in store.explain(INPUTS)


def test_prune_keeps_what_it_is_told(store: CandidateStore, layers: Path) -> None:
    one = put(store, *made(layers))
    two = put(store, *made(layers, dataclasses.replace(INPUTS, epoch=5)))
    assert store.prune({one.key}) == 0, "what was stored just now stays"
    assert store.find(two.key) is None
    assert store.prune({one.key}, min_age=0) == 1, "config and layer are the other's too"
    assert store.find(one.key) == one
    assert store.prune(set(), min_age=0) == 3
    assert store.find(one.key) is None


def test_what_was_used_since(store: CandidateStore, layers: Path) -> None:
    one = put(store, *made(layers))
    two = put(store, *made(layers, dataclasses.replace(INPUTS, epoch=5)))
    for record in (one, two):
        os.utime(path_of(store, record), (1000, 1000))
    assert store.used_since(1000) == {one.key, two.key}
    store.use(one.key)
    assert store.used_since(1001) == {one.key}
    store.use(Digest.of(b"no cell"))
    (path_of(store, one).parent / "strange.json").write_text("{}")
    assert store.used_since(0) == {one.key, two.key}


def test_what_a_build_uses_meanwhile_stays(store: CandidateStore, layers: Path) -> None:
    one = put(store, *made(layers))
    two = put(store, *made(layers, dataclasses.replace(INPUTS, epoch=5)))
    os.utime(path_of(store, two), (1000, 1000))
    store.prune((), since=1001, min_age=0)
    assert store.find(one.key) == one
    assert store.find(two.key) is None


@pytest.mark.parametrize("damage", ["record", "blob"])
def test_prune_forgets_what_is_damaged(store: CandidateStore, layers: Path, damage: str) -> None:
    one = put(store, *made(layers))
    two = put(store, *made(layers, dataclasses.replace(INPUTS, epoch=5)))
    if damage == "record":
        path_of(store, one).write_text("{")
    else:
        store.layout.blob_path(one.descriptor.digest).unlink()
    assert store.prune({one.key, two.key}, min_age=0) == (1 if damage == "record" else 0)
    assert not path_of(store, one).exists()
    assert store.find(two.key) == two
