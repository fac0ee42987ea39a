"""`child_result`: from what Buildbot tells of a cell's build to its outcome."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, RETRY, SUCCESS, WARNINGS
from releasebed import cell
from tinyimage import make_image

from minios_steps.core.cell_result import CellResult
from minios_steps.core.errors import ImageError
from minios_steps.gather import child_result

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

START = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)
CELL = cell("sw64")


class Data:
    """Answers of Buildbot's data API about one build request."""

    def __init__(self, *builds: dict[str, Any], **properties: Any) -> None:
        last = max((build["buildid"] for build in builds), default=0)
        self.told: Mapping[tuple[Any, ...], Any] = {
            ("buildrequests", 7, "builds"): list(builds),
            ("builds", last, "properties"): {name: (value, "x") for name, value in properties.items()},
        }
        self.data = self

    async def get(self, path: tuple[Any, ...]) -> Any:
        return self.told[path]


def build(results: int, *, number: int = 1, seconds: float | None = 90, state: str = "") -> dict[str, Any]:
    ended = None if seconds is None else START + dt.timedelta(seconds=seconds)
    return {
        "buildid": 100 + number,
        "number": number,
        "results": results,
        "state_string": state,
        "started_at": START,
        "complete_at": ended,
    }


def run(coroutine: Coroutine[Any, Any, CellResult]) -> CellResult:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    result = stopped.value.value
    assert isinstance(result, CellResult)
    return result


def result(data: Data, expired: str = "") -> CellResult:
    return run(child_result(data, CELL, 7, expired))


def failed(data: Data) -> str:
    """Why a cell failed."""
    told = result(data)
    assert (told.outcome, told.descriptor, told.digest) == ("failed", None, "")
    return told.reason


@pytest.fixture
def candidate(tmp_path: Path) -> dict[str, Any]:
    image = make_image(tmp_path)
    return {"descriptor": image.descriptor.as_json(), "size": 1234, "key": f"sha256:{'a' * 64}"}


@pytest.mark.parametrize("ended", [SUCCESS, WARNINGS])
def test_built(candidate: dict[str, Any], ended: int) -> None:
    told = result(Data(build(ended), candidate=candidate))
    assert (told.arch, told.version, told.variant) == ("sw64", "1.38.0", "static")
    assert (told.outcome, told.reason, told.seconds) == ("built", "", 90.0)
    assert (told.digest, told.size) == (candidate["descriptor"]["digest"], 1234)
    assert told.key == candidate["key"]


def test_reused(candidate: dict[str, Any]) -> None:
    assert result(Data(build(SUCCESS), candidate=candidate, reused=True)).outcome == "reused"


def test_timed_out_whatever_the_build_says(candidate: dict[str, Any]) -> None:
    told = result(Data(build(SUCCESS), candidate=candidate), "no worker took it within 60 s")
    assert (told.outcome, told.reason) == ("timed-out", "no worker took it within 60 s")


def test_no_build() -> None:
    assert failed(Data()) == "its build request ended without a build"


def test_no_candidate() -> None:
    assert failed(Data(build(SUCCESS))) == "its build ended well but made no candidate"


def test_candidate_of_a_build_that_failed(candidate: dict[str, Any]) -> None:
    assert failed(Data(build(FAILURE, state="failed"), candidate=candidate)) == "failed"


def test_damaged_candidate() -> None:
    with pytest.raises(ImageError, match="candidate: not an object"):
        run(child_result(Data(build(SUCCESS), candidate={"size": 1}), CELL, 7, ""))


def test_problem_before_the_builds_own_words() -> None:
    told = result(Data(build(FAILURE, state="failed compile"), problem="compile failed: a.c:1"))
    assert (told.outcome, told.reason, told.seconds) == ("failed", "compile failed: a.c:1", 90.0)


@pytest.mark.parametrize(
    ("ended", "why"), [(FAILURE, "build failure"), (EXCEPTION, "build exception"), (CANCELLED, "cancelled")]
)
def test_nothing_said(ended: int, why: str) -> None:
    assert failed(Data(build(ended))) == why
    assert failed(Data(build(ended, state="lost connection"))) == "lost connection"


def test_last_of_several_builds(candidate: dict[str, Any]) -> None:
    lost = build(RETRY, number=1, seconds=5)
    assert result(Data(build(SUCCESS, number=2), lost, candidate=candidate)).seconds == 90.0


def test_build_that_has_not_ended() -> None:
    assert result(Data(build(RETRY, seconds=None))).seconds == 0.0
