from __future__ import annotations

import pytest
from nightlybed import FIRST, OTHER_KEY, SECOND, TESTED, THIRD, Nights, bad, good, line, released
from releasebed import cell

from minios_steps.core.cell_result import CellResult
from minios_steps.core.nightly.judge import CellFacts
from minios_steps.core.nightly.memory import Known, Memory
from minios_steps.core.nightly.report import NightlyReport, ReportError

CERTAIN = {"x86_64": CellFacts(certain=True)}


def test_unchanged_and_tested_again() -> None:
    report = Nights().night(FIRST, good())
    assert report.verdict == "good"
    assert (line(report).state, line(report).text) == ("tested", TESTED)
    assert line(report).since == ""
    assert report.warnings == ()
    assert report.releases[0].outcome == "unchanged"


def test_what_changed_says_why_and_by_how_much() -> None:
    nights = Nights()
    nights.night(FIRST, good(size=1000))
    why = "kconfig: CONFIG_TC y → n"
    told = {"x86_64": CellFacts(why=why, toolchain="gcc 12", prefix="x-")}
    report = nights.night(
        SECOND, good(outcome="published", size=960), facts=told, releases=[released("released")]
    )
    assert report.verdict == "good"
    assert (line(report).state, line(report).text) == ("changed", why)
    assert (line(report).before, line(report).size, line(report).growth) == (1000, 960, -4.0)
    assert nights.memory.known["x86_64 1.38.0 static"] == Known(good().key, 960, "gcc 12", "x-")


def test_growth_over_the_threshold_is_a_warning() -> None:
    nights = Nights(growth=5.0)
    nights.night(FIRST, good(size=1000))
    report = nights.night(SECOND, good(outcome="built", size=1050))
    assert report.verdict == "good"
    report = nights.night(THIRD, good(outcome="built", size=1103))
    assert report.verdict == "warnings"
    assert report.warnings == ("x86_64 1.38.0 static grew by 5.05 %, more than 5 %: 1,050 to 1,103 bytes",)


def test_failure_is_remembered_from_its_first_night_until_it_is_good() -> None:
    nights = Nights()
    nights.night(FIRST, good())
    report = nights.night(SECOND, bad(), facts=CERTAIN)
    assert report.verdict == "failed"
    assert (line(report).state, line(report).since) == ("failed", SECOND)
    assert nights.memory.sure == {bad().key: f"compile failed: x.c:1: error (since {SECOND})"}
    report = nights.night(THIRD, bad(key=OTHER_KEY), facts=CERTAIN)
    # Other inputs, and still not good.
    assert line(report).since == SECOND
    assert list(nights.memory.sure) == [OTHER_KEY]
    nights.night("2026-01-04T02:30:00+00:00", good())
    assert nights.memory.failing == {}
    report = nights.night("2026-01-05T02:30:00+00:00", bad(), facts=CERTAIN)
    assert line(report).since == "2026-01-05T02:30:00+00:00"


def test_known_failure_keeps_its_first_reason() -> None:
    nights = Nights()
    nights.night(FIRST, bad(), facts=CERTAIN)
    again = bad(reason="not compiled again, the same inputs failed before: and so on")
    for night in (SECOND, THIRD):
        report = nights.night(night, again, facts={"x86_64": CellFacts(known=True)})
        assert report.verdict == "failed"
        assert (line(report).state, line(report).since) == ("known-failure", FIRST)
        assert (
            line(report).text == "compile failed: x.c:1: error; nothing changed, so it was not compiled again"
        )
    assert list(nights.memory.sure) == [bad().key]


def test_failure_for_the_machines_sake_is_tried_again() -> None:
    nights = Nights()
    full = bad(reason="compile failed: fatal error: error writing to x.s: No space left on device")
    nights.night(FIRST, full)
    assert nights.memory.sure == {}
    assert nights.memory.failing["x86_64 1.38.0 static"].since == FIRST


def test_build_that_ran_out_of_time_is_tried_again() -> None:
    nights = Nights()
    nights.night(FIRST, CellResult.timed_out(cell(), "still running after 600 s"), facts=CERTAIN)
    assert nights.memory.sure == {}


@pytest.mark.parametrize(
    ("result", "state", "verdict"),
    [
        (CellResult.timed_out(cell(), "still running after 600 s"), "timed-out", "failed"),
        (CellResult.no_worker(cell(), "attach"), "no-worker", "failed"),
        (CellResult.no_worker(cell("sw64"), "attach"), "no-worker", "good"),
        (CellResult.failed(cell("sw64"), "lost"), "failed", "failed"),
        (CellResult.failed(cell("riscv64"), "lost"), "failed", "warnings"),
        (CellResult.no_worker(cell("riscv64"), "attach"), "no-worker", "good"),
    ],
)
def test_what_counts_as_failed(result: CellResult, state: str, verdict: str) -> None:
    report = Nights().night(FIRST, result)
    assert line(report, result.arch).state == state
    assert line(report, result.arch).since == FIRST
    assert report.verdict == verdict


def test_candidate_is_a_warning_only() -> None:
    report = Nights().night(FIRST, good(), CellResult.failed(cell("riscv64"), "broken"))
    assert report.warnings == ("riscv64 1.38.0 static (candidate) is not good: broken",)


def test_image_that_could_not_be_tested_is_a_warning() -> None:
    why = "not run: the worker cannot execute x86_64 and has no emulator"
    for facts, text in ((CellFacts(retested=why), why), (CellFacts(), "its image was not tested again")):
        report = Nights().night(FIRST, good(), facts={"x86_64": facts})
        assert line(report).state == "reused"
        assert report.warnings == (f"x86_64 1.38.0 static: {text}",)
        assert report.verdict == "warnings"


@pytest.mark.parametrize(("checked", "verdict"), [(True, "good"), (False, "warnings"), (None, "good")])
def test_clean_check(checked: bool | None, verdict: str) -> None:  # noqa: FBT001
    nights = Nights()
    report = nights.night(FIRST, good(outcome="built"), facts={"x86_64": CellFacts(checked=checked)})
    assert (report.verdict, line(report).checked) == (verdict, checked)
    assert nights.memory.checked == ({} if checked is None else {"x86_64 1.38.0 static": FIRST})
    if checked is False:
        assert "other bytes than a clean build" in report.warnings[0]


def test_missing_workers_and_since_when() -> None:
    nights = Nights()
    missing = CellResult.no_worker(cell("sw64"), "start a worker there")
    report = nights.night(
        FIRST, good(), missing, absent={"fast-1": "", "slow-1": "2025-12-31T12:00:00+00:00"}
    )
    assert report.verdict == "warnings"
    assert [(one.name, one.since, one.worker, one.attach) for one in report.missing] == [
        ("a worker for sw64", FIRST, False, "start a worker there"),
        ("worker fast-1", FIRST, True, ""),
        ("worker slow-1", "2025-12-31T12:00:00+00:00", True, ""),
    ]
    report = nights.night(SECOND, good(), missing, absent={"fast-1": ""})
    assert [(one.name, one.since) for one in report.missing] == [
        ("a worker for sw64", FIRST),
        ("worker fast-1", FIRST),
    ]
    nights.night(THIRD, good(), good("sw64"))
    assert nights.memory.missing == {}


def test_failure_began_when_it_was_tried() -> None:
    """Not in the night when its worker went missing; and a night without a worker does not end it."""
    nights = Nights()
    gone = CellResult.no_worker(cell(), "attach")
    nights.night(FIRST, gone)
    assert line(nights.night(SECOND, bad(), facts=CERTAIN)).since == SECOND
    assert line(nights.night(THIRD, gone)).since == THIRD
    assert list(nights.memory.sure) == [bad().key]
    again = nights.night("2026-01-04T02:30:00+00:00", bad(), facts={"x86_64": CellFacts(known=True)})
    assert (line(again).state, line(again).since) == ("known-failure", SECOND)


def test_missing_since_over_a_night_without_cells() -> None:
    nights = Nights()
    missing = CellResult.no_worker(cell("sw64"), "start a worker there")
    nights.night(FIRST, good(), missing)
    nights.night(SECOND, releases=[], problem="version '9.9.9' is not pinned")
    [told] = nights.night(THIRD, good(), missing).missing
    assert (told.name, told.since) == ("a worker for sw64", FIRST)
    nights.night("2026-01-04T02:30:00+00:00", good(), good("sw64"))
    assert nights.memory.missing == {}


@pytest.mark.parametrize("outcome", ["blocked", "failed"])
def test_release_that_could_not_be_written(outcome: str) -> None:
    report = Nights().night(FIRST, good(), releases=[released(outcome, reasons=["the registry is away"])])
    assert report.verdict == "failed"
    assert report.releases[0].reason == "the registry is away"


@pytest.mark.parametrize(
    ("outcome", "verdict", "said"),
    [("unchanged", "warnings", "was mended"), ("failed", "failed", "is still broken")],
)
def test_release_that_was_not_whole(outcome: str, verdict: str, said: str) -> None:
    told = released(outcome, reasons=["the registry is full"], lacked="x86_64's image is not whole: gone")
    report = Nights().night(FIRST, good(), releases=[told])
    assert report.verdict == verdict
    assert report.warnings == (f"1.38.0 static {said}: x86_64's image is not whole: gone",)


def test_image_that_the_registry_had_lost() -> None:
    report = Nights().night(FIRST, good(), facts={"x86_64": CellFacts(retested=TESTED, lost=True)})
    assert (report.verdict, line(report).state) == ("warnings", "tested")
    lost = "x86_64 1.38.0 static: the registry had lost some of the released image; it was sent again"
    assert report.warnings == (lost,)


def test_release_of_which_nothing_was_heard() -> None:
    report = Nights().night(FIRST, good(), releases=[])
    assert report.verdict == "failed"
    assert report.releases[0].reason == "its publishing step did not end"


def test_night_without_cells() -> None:
    nights = Nights()
    nights.night(FIRST, bad(), facts=CERTAIN)
    report = nights.night(SECOND, releases=[], problem="version '9.9.9' is not pinned")
    assert report.verdict == "failed"
    assert report.cells == ()
    # What was so before is still so.
    assert list(nights.memory.failing) == ["x86_64 1.38.0 static"]


@pytest.mark.parametrize("data", [None, [], {}, {"failing": {"x": {}}}, {"failing": 1}])
def test_memory_that_is_damaged_is_none(data: object) -> None:
    assert Memory.from_json(data) == Memory()


def test_report_that_is_none() -> None:
    with pytest.raises(ReportError, match=r"^not a nightly's report: verdict: "):
        NightlyReport.from_json({})
