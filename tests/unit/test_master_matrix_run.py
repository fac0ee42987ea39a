from __future__ import annotations

import getpass
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from masterbed import BRID, BUILD, build, cell, fake_master, properties, release, running
from minios_master import api as api_module
from minios_master import matrix_run as module
from minios_master.api import MasterApi, NoAnswerError
from minios_master.matrix_run import Choices, MatrixRun
from minios_master.signals import ending_as_exit
from tenacity import wait_none

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterbed import FakeMaster
    from minios_master.progress import MatrixProgress

CANCEL = (f"buildrequests/{BRID}", "cancel", {"reason": "interrupted"})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module._RETRY, "wait", wait_none())
    monkeypatch.setattr(module, "POLL_SECONDS", 0)
    monkeypatch.setattr(module, "SHOW_SECONDS", 0)


@pytest.fixture
def master() -> Iterator[FakeMaster]:
    with fake_master() as made:
        yield made


def ends_when_cancelled(master: FakeMaster) -> None:
    """A matrix in the middle, which ends a moment after it is told to."""
    running(master)
    looks: list[int] = []

    def request(_query: Any) -> Any:
        cancelled = CANCEL in master.controls
        looks.append(cancelled)
        return {"buildrequests": [{"complete": cancelled and sum(looks) > 2}]}

    master.answers[f"buildrequests/{BRID}"] = request
    master.answers["looks"] = lambda _query: {"after": sum(looks)}


def run(
    master: FakeMaster,
    show: Callable[[MatrixProgress], None] = lambda _progress: None,
    choices: Choices | None = None,
) -> module.Outcome:
    return MatrixRun(MasterApi(master.url), show).run(choices or Choices())


def test_run_to_the_end(master: FakeMaster) -> None:
    shown: list[MatrixProgress] = []
    choices = Choices(("1.38.0",), ("static",), ("x86_64", "sw64"), jobs=3, force=True)
    outcome = run(master, shown.append, choices)
    assert outcome.cells == (cell("x86_64"),)
    assert outcome.releases == (release(),)
    assert outcome.problem == ""
    assert [progress.complete for progress in shown] == [True]
    [(path, method, params)] = master.controls
    assert (path, method) == ("forceschedulers/matrix", "force")
    assert params == {
        "versions": ["1.38.0"],
        "variants": ["static"],
        "arches": ["x86_64", "sw64"],
        "jobs": 3,
        "force_rebuild": True,
        "reason": f"minios matrix, by {getpass.getuser()}",
        "backend": "",
    }


def test_queued_run_waits_for_its_build(master: FakeMaster) -> None:
    answers: list[Any] = [[], [], [build(BUILD, builderid=2)]]
    master.answers[f"buildrequests/{BRID}/builds"] = lambda _query: {"builds": answers.pop(0)}
    master.answers[f"buildrequests/{BRID}"] = {"buildrequests": [{"complete": False}]}
    assert run(master).cells
    assert answers == []


def test_run_that_is_cancelled_in_the_queue(master: FakeMaster) -> None:
    master.answers[f"buildrequests/{BRID}/builds"] = {"builds": []}
    with pytest.raises(MiniosError, match=r"^the build was cancelled before it started$"):
        run(master)


def test_progress_is_shown_until_the_end(master: FakeMaster) -> None:
    running(master)
    shown: list[bool] = []

    def show(progress: MatrixProgress) -> None:
        shown.append(progress.complete)
        if len(shown) == 3:
            master.answers[f"builds/{BUILD}"] = {"builds": [build(BUILD)]}

    run(master, show)
    assert shown == [False, False, False, True]


def test_between_two_displays_only_the_end_is_looked_for(
    master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOW_SECONDS", 3600)
    monkeypatch.setattr("minios_master.matrix_run.time.monotonic", lambda: 7200.0)
    shown: list[MatrixProgress] = []
    answers: list[int | None] = [None, None, None, 0]

    def told(_query: Any) -> Any:
        return {"builds": [build(BUILD, answers.pop(0) if len(answers) > 1 else answers[0])]}

    master.answers[f"builds/{BUILD}"] = told
    run(master, shown.append)
    assert [progress.complete for progress in shown] == [False, True]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "the matrix build ended without an outcome"),
        ({"problem": "unknown arch 'vax'"}, "unknown arch 'vax'"),
    ],
)
def test_run_without_an_outcome(said: dict[str, Any], words: str, master: FakeMaster) -> None:
    master.answers[f"builds/{BUILD}/properties"] = properties(**said)
    with pytest.raises(MiniosError) as caught:
        run(master)
    assert caught.value.what == words


def test_problem_of_a_run_is_kept(master: FakeMaster) -> None:
    master.answers[f"builds/{BUILD}/properties"] = properties(cells=[cell("x86_64")], problem="not released")
    outcome = run(master)
    assert (outcome.releases, outcome.problem) == ((), "not released")


def test_refused_run_has_nothing_to_stop(master: FakeMaster) -> None:
    master.replies["force"] = {"error": {"message": "no such version"}}
    with pytest.raises(MiniosError, match="refused force: no such version"):
        run(master)
    assert [method for _, method, _ in master.controls] == ["force"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143), BrokenPipeError(32, "Broken pipe")])
def test_interrupted_run_waits_until_the_builds_have_ended(stop: BaseException, master: FakeMaster) -> None:
    ends_when_cancelled(master)

    def show(_progress: MatrixProgress) -> None:
        raise stop

    with pytest.raises(type(stop)):
        run(master, show)
    assert master.controls[-1] == CANCEL
    assert MasterApi(master.url).get("looks") == {"after": 3}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_the_run_is_queued_stops_it(number: int, master: FakeMaster) -> None:
    ends_when_cancelled(master)

    def force() -> Any:
        os.kill(os.getpid(), number)
        return [1, {"2": BRID}]

    master.replies["force"] = force
    with pytest.raises((SystemExit, KeyboardInterrupt)), ending_as_exit():
        run(master)
    assert master.controls[-1] == CANCEL


def test_second_interruption_does_not_wait(master: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    running(master)

    def again(_seconds: float) -> None:
        raise KeyboardInterrupt

    def show(_progress: MatrixProgress) -> None:
        monkeypatch.setattr("minios_master.matrix_run.time.sleep", again)
        raise SystemExit(143)

    with pytest.raises(KeyboardInterrupt):
        run(master, show)
    assert master.controls[-1] == CANCEL


def test_build_that_does_not_stop_is_not_waited_for_without_end(
    master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(master)
    monkeypatch.setattr(module, "STOP_SECONDS", 0)

    def show(_progress: MatrixProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(master, show)


def test_master_that_goes_away(master: FakeMaster) -> None:
    running(master)

    def show(_progress: MatrixProgress) -> None:
        master.drop = 1000

    with pytest.raises(NoAnswerError, match=r"does not answer$"):
        run(master, show)
    # There is nobody to tell.
    assert [method for _, method, _ in master.controls] == ["force"]


def test_master_that_goes_away_while_it_is_told_to_stop(master: FakeMaster) -> None:
    running(master)

    def show(_progress: MatrixProgress) -> None:
        master.drop = 1000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(master, show)
