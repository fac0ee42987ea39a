from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from releasebed import House, cell, put_candidate
from tinyelf import make_elf

from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry
from minios_steps.core.errors import ElfError, ImageError
from minios_steps.core.nightly.memory import Known, Memory
from minios_steps.core.nightly.retest import fetch_image, retest_checks
from minios_steps.core.nightly.spot import spot_checks
from minios_steps.core.nightly.standing import standing
from minios_steps.core.oci.layout_store import LayoutStore

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.policy import CellResult
    from minios_steps.core.version import Version


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class Counting:
    """A source that counts what is asked of it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.asked: list[Digest] = []

    def read(self, digest: Digest, limit: int) -> bytes:
        self.asked.append(digest)
        return self.house.store.layout.read(digest, limit)


def test_image_is_read_once_and_its_names_are_found(house: House) -> None:
    links = [Entry(f"bin/{name}", "hardlink", 0o755, target="bin/busybox") for name in ("[", "ls")]
    other = Entry("bin/other", "symlink", 0o777, target="busybox")
    record = put_candidate(house.store, house.project, cell(), entries=[*links, other])
    source = Counting(house)
    found = fetch_image(source, record.descriptor, house.project.arches["x86_64"], record)
    assert found.applets == ("[", "ls", "sh")
    assert found.interpreter == ""
    assert Digest.of(found.layer) in source.asked
    assert len(source.asked) == len(set(source.asked)) == 3


def test_other_program_is_refused(house: House) -> None:
    record = put_candidate(house.store, house.project, cell(), program=make_elf(183, kind=2))
    with pytest.raises(ElfError, match="bin/busybox"):
        fetch_image(Counting(house), record.descriptor, house.project.arches["x86_64"], record)


def test_missing_layer_is_told(house: House) -> None:
    record = put_candidate(house.store, house.project, cell())
    house.layout_blob(house.store.blobs(record.descriptor)[2]).unlink()
    with pytest.raises(ImageError, match="blob"):
        fetch_image(Counting(house), record.descriptor, house.project.arches["x86_64"], record)


def test_checks_are_those_that_were_made() -> None:
    before = [
        {"name": "arithmetic", "outcome": "passed", "detail": "42"},
        {"name": "arithmetic-64", "outcome": "skipped", "detail": "CONFIG_FEATURE_SH_MATH_64 not configured"},
        {"name": "pipe", "outcome": "passed", "detail": ""},
    ]
    checks = {check.name: check for check in retest_checks(["sh", "cat", "tr", "tar"], before)}
    assert checks["arithmetic"].skip == checks["pipe"].skip == ""
    assert checks["arithmetic-64"].skip == "CONFIG_FEATURE_SH_MATH_64 not configured"
    # It hangs on a symbol that nobody kept.
    assert checks["tar"].skip == "was not made when the image was built"
    assert checks["awk"].skip == "applet awk not configured"
    assert checks["applets"].expect == "cat sh tar tr"
    assert "/^busybox$/d" in checks["applets"].script
    assert "/^linuxrc$/d" in checks["applets"].script


class TestStanding:
    def publish(self, house: House, *arches: str) -> list[CellResult]:
        cells = house.good(*arches)
        report, _ = house.publish(cells)
        assert report.outcome == "released", report
        return cells

    def now(self, house: House, version: Version | None = None) -> object:
        return standing(LayoutStore(house.layout), house.project, version or cell().version, "static")

    def test_nothing_before_the_first_release(self, house: House) -> None:
        assert self.now(house) is None

    def test_release_that_has_everything(self, house: House) -> None:
        cells = self.publish(house, "x86_64", "aarch64", "sw64")
        found = standing(LayoutStore(house.layout), house.project, cell().version, "static")
        assert found is not None
        assert found.tags == ("1.38.0", "1.38", "latest")
        assert found.index.digest == house.layout.tags()["latest"].digest
        assert sorted(found.images) == ["aarch64", "sw64", "x86_64"]
        assert found.has("x86_64", cells[0].digest)
        assert not found.has("x86_64", cells[1].digest)
        assert not found.has("riscv64", cells[0].digest)
        # One that is missing tonight asks for nothing.
        assert found.settles(house.project, cells)
        assert found.settles(house.project, cells[:2])
        # A candidate is in no release.
        assert found.settles(house.project, [*cells, *house.good("riscv64")])

    def test_image_that_is_not_in_it(self, house: House) -> None:
        self.publish(house, "x86_64", "aarch64")
        found = standing(LayoutStore(house.layout), house.project, cell().version, "static")
        assert found is not None
        assert not found.settles(house.project, house.good("sw64"))

    def test_arch_that_is_a_candidate_by_now(self, house: House, tmp_path: Path) -> None:
        cells = self.publish(house, "x86_64", "aarch64", "sw64")
        text = (tmp_path / "config" / "minios.yaml").read_text("utf-8").replace("  sw64: optional\n", "")
        demoted = House(tmp_path / "new", {"minios.yaml": text})
        found = standing(LayoutStore(house.layout), demoted.project, cell().version, "static")
        assert found is not None
        assert not found.settles(demoted.project, cells[:2])

    def test_tags_that_do_not_agree(self, house: House) -> None:
        self.publish(house, "x86_64", "aarch64")
        older = house.good("x86_64", "aarch64", "sw64")
        house.publish(older)
        tags = house.layout.tags()
        house.layout.publish({"latest": tags["1.38"]})
        assert self.now(house) is not None
        first = house.good("x86_64")[0].descriptor
        assert first
        house.layout.publish({"latest": first})
        assert self.now(house) is None


class TestSpot:
    def test_only_what_is_about_to_be_rebuilt_the_longest_unchecked_first(self, house: House) -> None:
        cells = [cell("x86_64"), cell("aarch64"), cell("sw64"), cell("riscv64")]
        records = {made.arch: put_candidate(house.store, house.project, made) for made in cells}
        known = {
            str(made): Known(str(records[made.arch].key), 1, records[made.arch].inputs["toolchain"])
            for made in cells
        }
        assert spot_checks(house.project, cells, Memory(known=known)) == ()
        changed = {**known}
        for made in cells[:2]:
            changed[str(made)] = Known("sha256:" + "0" * 64, 1, known[str(made)].toolchain)
        # One that was never good has nothing kept.
        del changed[str(cells[3])]
        memory = Memory(known=changed, checked={str(cells[1]): "2026-01-01"})
        assert spot_checks(house.project, cells, memory) == (cells[0], cells[1])
        memory = Memory(known=changed, checked={str(cells[0]): "2026-01-02", str(cells[1]): "2026-01-01"})
        assert spot_checks(house.project, cells, memory) == (cells[1], cells[0])
