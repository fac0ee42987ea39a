from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.process.results import SKIPPED, SUCCESS
from minios_master.lean_build import LeanBuild


def step(name: str, wanted: Any = lambda _step: True, hide: Any = None) -> Any:
    return SimpleNamespace(name=name, doStepIf=wanted, hideStepIf=hide, alwaysRun=False)


def made() -> LeanBuild:
    """A build that runs, with nothing but what handing out steps needs."""
    build = LeanBuild.__new__(LeanBuild)
    build.conn, build.terminate, build.stopped = object(), False, False
    return build


def names(*steps: Any, **state: Any) -> list[str]:
    """The steps that a build hands out."""
    build = made()
    build.steps = list(steps)
    for name, value in state.items():
        setattr(build, name, value)
    found = []
    while (one := build.getNextStep()) is not None:
        found.append(one.name)
    return found


def hidden(results: int, _step: Any) -> bool:
    return results == SKIPPED


def test_what_would_be_skipped_and_hidden_is_passed_over() -> None:
    steps = [
        step("probe"),
        step("fetch", lambda _step: False, hidden),
        step("compile", lambda _step: False, hidden),
        step("push", lambda _step: True, hidden),
    ]
    assert names(*steps) == ["probe", "push"]


@pytest.mark.parametrize(
    ("wanted", "hide"),
    [
        (lambda _step: False, None),
        (lambda _step: False, lambda results, _step: results == SUCCESS),
        (False, True),
        (True, hidden),
    ],
)
def test_what_people_see_stays(wanted: Any, hide: Any) -> None:
    assert names(step("one", wanted, hide)) == ["one"]


def test_it_is_decided_when_it_is_that_steps_turn() -> None:
    told = {"reused": False}
    build = made()
    build.steps = [step("reuse"), step("fetch", lambda _step: not told["reused"], hidden)]
    assert build.getNextStep().name == "reuse"
    told["reused"] = True
    assert build.getNextStep() is None


def test_build_that_ends_early_ends_as_buildbots_does() -> None:
    late = step("remove", lambda _step: True, hidden)
    late.alwaysRun = True
    assert names(step("compile", lambda _step: True, hidden), late, terminate=True) == ["remove"]
    assert names(step("compile"), conn=None) == []
