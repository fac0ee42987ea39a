from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from masterbed import (
    BUILD,
    CANCELLED,
    FAILURE,
    SKIPPED,
    VERSION,
    build,
    fake_master,
    properties,
    running,
    step,
)
from minios_master.api import MasterApi
from minios_master.progress import CellProgress, Follower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterbed import FakeMaster


@pytest.fixture
def master() -> Iterator[FakeMaster]:
    with fake_master() as made:
        yield made


def children(master: FakeMaster, *builds: dict[str, Any]) -> None:
    master.answers[f"builds/{BUILD}/triggered_builds"] = {"builds": list(builds)}
    for one in builds:
        number = one["buildid"]
        master.answers.setdefault(
            f"builds/{number}/properties", properties(version=VERSION, variant="static")
        )
        master.answers.setdefault(f"builds/{number}/steps", {"steps": []})


def poll(master: FakeMaster) -> tuple[CellProgress, ...]:
    return Follower(MasterApi(master.url), BUILD).poll().cells


def only(master: FakeMaster, ended: dict[str, Any], *steps: dict[str, Any]) -> CellProgress:
    """The one cell of a run, whose build has these steps."""
    children(master, ended)
    master.answers[f"builds/{ended['buildid']}/steps"] = {"steps": list(steps)}
    [cell] = poll(master)
    return cell


def test_a_run_that_has_ended(master: FakeMaster) -> None:
    told = Follower(MasterApi(master.url), BUILD).poll()
    assert told.complete
    assert told.steps == ("matrix: 1 of 1 cells good",)
    steps = {"probe": "done", "compile": "done"}
    assert told.cells == (CellProgress("x86_64", VERSION, "static", "done", steps, "compile text", 42.0),)


def test_a_run_in_the_middle(master: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    running(master)
    monkeypatch.setattr("minios_master.progress.time.time", lambda: 40.5)
    told = Follower(MasterApi(master.url), BUILD).poll()
    assert not told.complete
    [cell] = told.cells
    assert (cell.state, cell.text, cell.seconds) == ("running", "compile text", 30.5)
    assert cell.steps == {"probe": "done", "compile": "running"}


def test_newest_build_of_a_cell_counts(master: FakeMaster) -> None:
    children(master, build(12, None), build(11, 5), build(3, 4))
    [cell] = poll(master)
    assert cell.state == "running"


def test_cells_of_all_kinds_are_told_in_order(master: FakeMaster) -> None:
    children(master, build(1), build(2), build(3, builderid=9))
    master.answers["builds/1/properties"] = properties(version="1.38.0", variant="static")
    master.answers["builds/2/properties"] = properties(version="1.35.0", variant="dynamic")
    assert [(c.arch, c.version, c.variant) for c in poll(master)] == [
        ("?", "1.38.0", "static"),
        ("x86_64", "1.35.0", "dynamic"),
        ("x86_64", "1.38.0", "static"),
    ]


def test_build_without_properties_is_not_shown_yet(master: FakeMaster) -> None:
    follower = Follower(MasterApi(master.url), BUILD)
    children(master, build(1, None))
    master.answers["builds/1/properties"] = properties(version=VERSION)
    assert follower.poll().cells == ()
    master.answers["builds/1/properties"] = properties(version=VERSION, variant="static")
    assert [cell.version for cell in follower.poll().cells] == [VERSION]


def test_ended_cell_is_read_once(master: FakeMaster) -> None:
    follower = Follower(MasterApi(master.url), BUILD)
    children(master, build(1), build(2, None))
    master.answers["builds/2/properties"] = properties(version="1.35.0", variant="static")
    first = follower.poll()
    master.seen.clear()
    again = follower.poll()
    asked = [path for path in master.seen if not path.startswith(f"builds/{BUILD}")]
    assert asked == ["builds/2/steps"]
    assert first.cells[1] == again.cells[1]


def test_builders_are_read_once(master: FakeMaster) -> None:
    follower = Follower(MasterApi(master.url), BUILD)
    follower.poll()
    follower.poll()
    assert master.seen.count("builders") == 1


def test_reused_cell_tells_its_last_step_that_ran(master: FakeMaster) -> None:
    cell = only(
        master,
        build(1),
        step("probe"),
        step("reuse", state_string="built 2026-01-02"),
        step("fetch", SKIPPED, hidden=True),
        step("push", SKIPPED),
    )
    assert cell.text == "built 2026-01-02"
    assert cell.steps == {"probe": "done", "reuse": "done", "fetch": "skipped", "push": "skipped"}
    assert cell.state == "done"


def test_failed_step_tells_why(master: FakeMaster) -> None:
    cell = only(
        master,
        build(1, FAILURE),
        step("probe", 1),
        step("compile", FAILURE, state_string="echo.c:1: error: expected [-Wx]"),
        step("cleanup", state_string="cleaned"),
        step("push", None, started_at=None),
    )
    assert (cell.state, cell.text) == ("failed", "echo.c:1: error: expected [-Wx]")
    assert cell.steps == {"probe": "done", "compile": "failed", "cleanup": "done", "push": "waiting"}


def test_running_step_is_told_even_after_a_failed_one(master: FakeMaster) -> None:
    cell = only(master, build(1, None), step("smoke", FAILURE), step("cleanup", None))
    assert (cell.state, cell.text) == ("running", "cleanup text")


@pytest.mark.parametrize("results", [FAILURE, 4, 5, CANCELLED])
def test_build_that_ended_badly_without_a_step(results: int, master: FakeMaster) -> None:
    cell = only(master, build(1, results, state_string="cancelled (interrupted)"))
    assert (cell.state, cell.text, cell.steps) == ("failed", "cancelled (interrupted)", {})


def test_step_that_is_hidden_says_nothing(master: FakeMaster) -> None:
    cell = only(master, build(1, None), step("secret", None, hidden=True))
    assert cell.text == "build text"
