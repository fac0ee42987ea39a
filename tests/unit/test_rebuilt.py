from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import pytest
from test_candidates import INPUTS
from tinyelf import make_elf
from tinyimage import make_image

from minios_steps.core import candidates
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_record import CellRecord
from minios_steps.core.entry import Entry
from minios_steps.core.errors import NonReproducibleError
from minios_steps.core.rebuilt import BuiltImage, keep_built

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.cellkey import CellInputs
    from minios_steps.core.digest import Digest

PROGRAM = make_elf(kind=2, flags=1)
TIMELESS = "an image of the same files"


class House:
    """A candidate store, and builds that give it images."""

    def __init__(self, folder: Path) -> None:
        self.layers = folder / "layers"
        self.layers.mkdir()
        self.store = CandidateStore(folder / "store")

    def build(self, inputs: CellInputs = INPUTS, *, by_files: bool = False, **contents: Any) -> CellRecord:
        """Build an image and keep it; `contents` are those of `make_image`."""
        image = make_image(self.layers, key=str(inputs.key), **contents)
        record = CellRecord(
            key=inputs.key,
            arch="x86_64",
            version="1.38.0",
            variant="static",
            descriptor=image.descriptor,
            inputs=inputs.as_json(),
            smoke=(),
            size=1,
            built="2026-01-02T03:04:05+00:00",
        )
        keep_built(
            self.store, record, BuiltImage(image.layer, image.config, image.manifest), by_files=by_files
        )
        return record

    def refused(self, inputs: CellInputs = INPUTS, *, by_files: bool = False, **contents: Any) -> str:
        """Why an image was not kept."""
        with pytest.raises(NonReproducibleError) as caught:
            self.build(inputs, by_files=by_files, **contents)
        return str(caught.value)

    def blobs(self) -> set[str]:
        return {path.name for path in (self.store.root / "blobs" / "sha256").iterdir()}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def only_other(house: House) -> Digest:
    [other] = house.store.others()
    return other.descriptor.digest


def test_same_bytes_again(house: House) -> None:
    first = house.build()
    assert house.build() == first
    assert house.store.others() == ()


def test_other_bytes_for_the_same_key(house: House) -> None:
    first = house.build()
    text = house.refused(program=PROGRAM)
    new = only_other(house)
    assert text == (
        f"non-reproducible: key {INPUTS.key.short} gave {first.descriptor.digest.short} before,"
        f" and {new.short} now (see what differs:"
        f" minios diff {first.descriptor.digest.short} {new.short})"
    )
    # The candidate is what it was; the other one is whole too, and no candidate.
    assert house.store.find(INPUTS.key) == first
    assert house.store.latest("x86_64", "1.38.0", "static") == first
    house.store.layout.check(house.store.others()[0].descriptor)
    assert {record.descriptor.digest for record in house.store.named(new.hex[:9])} == {new}
    assert len(house.store.named(INPUTS.key.hex)) == 2
    assert house.store.named("") == ()
    # And again, as long as it is not the same bytes.
    house.refused(program=PROGRAM)
    assert house.build() == first


def test_damaged_candidate_is_replaced(house: House) -> None:
    first = house.build()
    house.store.layout.blob_path(house.store.blobs(first.descriptor)[2]).write_bytes(b"rot")
    second = house.build(program=PROGRAM)
    assert house.store.find(INPUTS.key) == second
    assert house.store.others() == ()


def test_docker_images_are_the_same_when_their_files_are(house: House) -> None:
    inputs = dataclasses.replace(INPUTS, backend="docker")
    house.build(inputs)
    second = house.build(inputs, by_files=True, version=TIMELESS)
    assert house.store.find(inputs.key) == second
    text = house.refused(inputs, by_files=True, entries=[Entry("new", "file", 0o644, data=b"1")])
    assert text.startswith("non-reproducible: ")
    assert house.store.find(inputs.key) == second


def test_others_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MAX_OTHERS", 2)
    monkeypatch.setattr(candidates, "_GRACE", 0.0)
    keys = [dataclasses.replace(INPUTS, epoch=epoch) for epoch in (1, 2, 3)]
    for number, inputs in enumerate(keys):
        house.build(inputs)
        house.refused(inputs, program=PROGRAM)
        # The clock of the file system may be coarser than this test is quick.
        told = house.store.root / "others" / f"{inputs.key.hex}.json"
        os.utime(told, (number, number))
    before = house.blobs()
    house.refused(keys[0], program=make_elf(kind=2, flags=2))
    assert {other.key for other in house.store.others()} == {keys[2].key, keys[0].key}
    assert all(house.store.find(inputs.key) for inputs in keys)
    for other in house.store.others():
        house.store.layout.check(other.descriptor)
    assert before - house.blobs()


def test_pruning_takes_them_along(house: House) -> None:
    kept, gone = INPUTS, dataclasses.replace(INPUTS, epoch=5)
    for inputs in (kept, gone):
        house.build(inputs)
        house.refused(inputs, program=PROGRAM)
    assert house.store.prune([kept.key], min_age=0) > 0
    assert [other.key for other in house.store.others()] == [kept.key]
    house.store.layout.check(house.store.others()[0].descriptor)
    assert house.store.prune([kept.key], min_age=0) == 0
    (house.store.root / "others" / f"{gone.key.hex}.json").write_text("{")
    assert len(house.store.others()) == 1
