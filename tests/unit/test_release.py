"""`Releaser`: what is released, what is refused, and that otherwise nothing changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from releasebed import (
    ALL,
    MINIOS,
    NEWEST,
    OLDER,
    House,
    cell,
    failed,
    put_candidate,
    put_cell,
)
from tinyelf import make_elf

from minios_steps.core.cell_result import CellResult
from minios_steps.core.entry import Entry
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.records import Trigger, find_records
from minios_steps.core.release import ReleaseReport
from minios_steps.core.tag_moves import TagMover

if TYPE_CHECKING:
    from pathlib import Path


REQUIRED = ("x86_64", "aarch64")
CARRY = {"minios.yaml": MINIOS.replace("policy:", "policy:\n  carry_over: true")}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class TestFullRun:
    def test_released(self, house: House) -> None:
        report, final = house.publish(house.good(*ALL))
        index = house.index("latest")
        assert report == ReleaseReport(
            version="1.38.0",
            variant="static",
            outcome="released",
            tags=("1.38.0", "1.38", "latest"),
            index=str(index.descriptor.digest),
            reasons=(),
            left_out={},
            carried=(),
            place=f"oci:{house.layout.root}",
            record=report.record,
        )
        assert house.tags == ["1.38", "1.38.0", "latest"]
        assert len({str(found.digest) for found in house.layout.tags().values()}) == 1
        assert house.platforms("latest") == ["linux/amd64", "linux/arm64", "linux/sw64"]
        assert {result.outcome for result in final.values()} == {"published"}
        assert dict(index.annotations) == {
            keys.TITLE: "tiny",
            keys.DESCRIPTION: "A tiny image",
            keys.VERSION: "1.38.0",
            keys.LICENSES: "GPL-2.0-only",
            keys.VARIANT: "static",
            keys.SOURCE_SHA256: "b" * 64,
        }
        for entry in index.entries:
            house.layout.check(entry)

    def test_report_is_json(self, house: House) -> None:
        report, _ = house.publish(house.good(*ALL))
        assert json.loads(json.dumps(report.as_json()))["tags"] == ["1.38.0", "1.38", "latest"]

    def test_again(self, house: House) -> None:
        first, _ = house.publish(house.good(*ALL))
        before = house.snapshot()
        again = [put_cell(house.store, house.project, cell(arch), reused=True) for arch in ALL]
        report, final = house.publish(again)
        assert (report.outcome, report.index) == ("unchanged", first.index)
        assert house.snapshot() == before
        assert {result.outcome for result in final.values()} == {"reused"}

    def test_one_step_back_stays_possible(self, house: House) -> None:
        indexes = []
        for compiler in ("12", "13", "14"):
            made = put_candidate(house.store, house.project, cell(), identity=f"gcc version {compiler}\n")
            results = [CellResult.built(cell(), made.as_json()), *house.good("aarch64", "sw64")]
            report, _ = house.publish(results)
            assert report.outcome == "released"
            indexes.append(house.layout.tags()["latest"])
            assert made.descriptor.digest in {entry.digest for entry in house.index("latest").entries}
        first, second, third = indexes
        assert house.layout.tags()["latest"] == third
        house.layout.check(second)
        assert not house.layout.has_blob(first.digest)
        store = LayoutStore(house.layout)
        assert len(find_records(store, second.digest)) == 1
        assert find_records(store, third.digest)[0].previous["latest"] == str(second.digest)
        assert store.referrers(first.digest) == ()

    def test_a_further_tag_does_not_hide_what_another_was_before(self, house: House) -> None:
        for compiler in ("12", "13"):
            made = put_candidate(house.store, house.project, cell(), identity=f"gcc version {compiler}\n")
            results = [CellResult.built(cell(), made.as_json()), *house.good("aarch64", "sw64")]
            first = house.layout.tags().get("latest")
            house.publish(results)
        assert first
        store = LayoutStore(house.layout)
        TagMover(store, Trigger()).retag("latest", ["stable"])
        house.publish(results)
        assert TagMover(store, Trigger()).rollback("latest").after == first.digest

    def test_optional_arch_failed(self, house: House) -> None:
        report, final = house.publish([*house.good(*REQUIRED), failed("sw64")])
        assert report.outcome == "released"
        assert report.left_out == {"sw64": "failed"}
        assert report.reasons == ("sw64 (optional) failed: compile failed; left out",)
        assert house.index("latest").annotations[keys.LEFT_OUT] == "sw64: failed"
        assert house.platforms("latest") == ["linux/amd64", "linux/arm64"]
        assert final["sw64"].outcome == "failed"

    def test_required_arch_failed(self, house: House) -> None:
        report, final = house.publish([*house.good("x86_64", "sw64"), failed("aarch64")])
        assert (report.outcome, report.tags, report.index) == ("blocked", (), "")
        assert report.reasons == ("aarch64 (required) failed: compile failed",)
        assert not house.layout.root.exists()
        assert final["x86_64"].outcome == "built"

    def test_blocked_run_leaves_the_older_release(self, house: House) -> None:
        house.publish(house.good(*ALL))
        before = house.snapshot()
        report, _ = house.publish([*house.good("x86_64", "sw64"), failed("aarch64")])
        assert report.outcome == "blocked"
        assert house.snapshot() == before

    def test_no_answer(self, house: House) -> None:
        report, _ = house.publish(house.good("x86_64"))
        assert report.outcome == "blocked"
        assert report.reasons[0] == "aarch64 (required) failed: no answer"

    def test_candidate_arch_never_enters(self, house: House) -> None:
        report, final = house.publish(house.good(*ALL, "riscv64"), (*ALL, "riscv64"))
        assert house.platforms("latest") == ["linux/amd64", "linux/arm64", "linux/sw64"]
        assert final["riscv64"].outcome == "built"
        assert report.reasons == ("riscv64 (candidate) is good; a candidate is in no release",)

    def test_older_version_leaves_the_newests_tags(self, house: House) -> None:
        report, _ = house.publish(house.good(*ALL), version=NEWEST)
        newest = house.layout.tags()["latest"]
        older, _ = house.publish(house.good(*ALL, version=OLDER), version=OLDER)
        assert older.tags == ("1.35.0", "1.35")
        assert house.layout.tags()["latest"] == newest
        assert str(newest.digest) == report.index
        assert house.index("1.35").annotations[keys.VERSION] == "1.35.0"

    def test_dynamic_beside_static(self, tmp_path: Path) -> None:
        both = MINIOS.replace("[static]", "[static, dynamic]").replace("  aarch64: required\n", "")
        house = House(tmp_path, {"minios.yaml": both})
        house.publish(house.good("x86_64"))
        loader = "/lib/ld.so.1"
        entries = [
            Entry("lib", "dir", 0o755),
            Entry("lib/ld.so.1", "file", 0o755, data=make_elf(62)),
        ]
        made = cell(variant="dynamic")
        program = make_elf(62, interpreter=loader, needed=["libc.so.6"])
        record = put_candidate(house.store, house.project, made, program=program, entries=entries)
        report, _ = house.publish([CellResult.built(made, record.as_json())], variant="dynamic")
        assert report.tags == ("1.38.0-dynamic", "dynamic")
        assert house.index("dynamic").annotations[keys.VARIANT] == "dynamic"
        assert house.tags == ["1.38", "1.38.0", "1.38.0-dynamic", "dynamic", "latest"]


class TestCarriedOver:
    def test_kept(self, tmp_path: Path) -> None:
        house = House(tmp_path, CARRY)
        house.publish(house.good(*ALL))
        kept = house.index("latest").entries[2]
        report, final = house.publish([*house.good(*REQUIRED), CellResult.no_worker(cell("sw64"), "")])
        assert (report.outcome, report.carried, report.left_out) == ("released", ("sw64",), {})
        index = house.index("latest")
        assert index.entries[2] == kept
        assert index.annotations[keys.CARRIED_OVER] == "sw64"
        assert final["sw64"].outcome == "no-worker"
        house.layout.check(index.descriptor)

    def test_not_from_another_version(self, tmp_path: Path) -> None:
        house = House(tmp_path, CARRY)
        house.publish(house.good(*ALL, version=OLDER), version=OLDER)
        report, _ = house.publish([*house.good(*REQUIRED), failed("sw64")])
        assert (report.carried, report.left_out) == ((), {"sw64": "failed"})

    def test_not_when_the_configuration_says_no(self, house: House) -> None:
        house.publish(house.good(*ALL))
        report, _ = house.publish([*house.good(*REQUIRED), failed("sw64")])
        assert (report.carried, report.left_out) == ((), {"sw64": "failed"})
        assert house.platforms("latest") == ["linux/amd64", "linux/arm64"]

    def test_not_what_somebody_else_put_under_the_tag(self, tmp_path: Path) -> None:
        house = House(tmp_path, CARRY)
        house.publish(house.good(*ALL))
        known = house.layout.tags()["1.38.0"]
        told = json.loads(house.layout.read(known.digest))
        del told["annotations"][keys.VARIANT]
        raw = json.dumps(told).encode()
        foreign = parse_index(raw)
        house.layout.publish(dict.fromkeys(house.tags, foreign.descriptor), raw=[raw])
        report, _ = house.publish([*house.good(*REQUIRED), failed("sw64")])
        assert report.carried == ()


class TestNarrowedRun:
    def test_partial(self, house: House) -> None:
        house.publish(house.good(*ALL))
        before = house.layout.tags()
        report, final = house.publish(house.good("sw64"), ("sw64",))
        assert (report.outcome, report.tags) == ("partial", ("1.38.0-partial",))
        assert report.reasons == ("a release needs aarch64, x86_64 too, which this run was not asked for",)
        assert house.platforms("1.38.0-partial") == ["linux/sw64"]
        assert {tag: house.layout.tags()[tag] for tag in before} == before
        assert final["sw64"].outcome == "published"

    def test_candidate_arch(self, house: House) -> None:
        report, _ = house.publish(house.good("riscv64"), ("riscv64",))
        assert report.outcome == "partial"
        assert house.tags == ["1.38.0-partial"]

    def test_required_one_of_it_failed(self, house: House) -> None:
        report, _ = house.publish([failed("x86_64"), *house.good("sw64")], ("x86_64", "sw64"))
        assert report.outcome == "blocked"
        assert not house.layout.root.exists()

    def test_nothing_good(self, house: House) -> None:
        report, _ = house.publish([failed("sw64")], ("sw64",))
        assert report.outcome == "blocked"
        assert not house.layout.root.exists()
