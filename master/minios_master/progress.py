"""How far a matrix build is, as data: polled from the master, drawn elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .api import MasterApi

PIPELINE = (
    "probe",
    "reuse",
    "fetch",
    "configure",
    "compile",
    "check",
    "stage",
    "smoke",
    "image",
    "push",
)
"""The steps of a cell, in order."""
SUCCESS, WARNINGS, SKIPPED = 0, 1, 3
"""Buildbot's results (manual, "Build Properties"; `buildbot.process.results`)."""


@dataclass(frozen=True)
class CellProgress:
    """One cell now. `steps` maps a step's name to `done`, `running`, `failed` or `skipped`."""

    arch: str
    version: str
    variant: str
    state: str
    steps: Mapping[str, str]
    text: str
    seconds: float


@dataclass(frozen=True)
class MatrixProgress:
    """The whole run now; `steps` are the matrix build's own lines."""

    cells: tuple[CellProgress, ...]
    steps: tuple[str, ...]
    complete: bool


class Follower:
    """Reads a matrix build again and again; ended cells are read only once.

    Args:
        api: the master.
        build_id: the matrix build.
    """

    def __init__(self, api: MasterApi, build_id: int) -> None:
        self._api = api
        self._build = build_id
        self._builders = api.builder_names()
        self._cells: dict[int, tuple[str, str]] = {}
        self._ended: dict[int, CellProgress] = {}

    def poll(self) -> MatrixProgress:
        """How far everything is."""
        build = self._api.get(f"builds/{self._build}")["builds"][0]
        children = self._api.children(self._build)
        # The newest build of each cell counts: a lost worker makes several.
        newest: dict[tuple[str, str, str], CellProgress] = {}
        for child in sorted(children, key=lambda item: item["buildid"]):
            cell = self._cell(child)
            if cell is not None:
                newest[cell.arch, cell.version, cell.variant] = cell
        lines = tuple(
            f"{step['name']}: {step['state_string']}"
            for step in self._api.steps(self._build)
            if step["started_at"] is not None
        )
        cells = tuple(newest[key] for key in sorted(newest))
        return MatrixProgress(cells, lines, complete=bool(build["complete"]))

    def _cell(self, build: Mapping[str, Any]) -> CellProgress | None:
        number = build["buildid"]
        if number in self._ended:
            return self._ended[number]
        if number not in self._cells:
            told = self._api.properties(number)
            # A build is there a moment before its properties are.
            if "version" not in told or "variant" not in told:
                return None
            self._cells[number] = (str(told["version"]), str(told["variant"]))
        version, variant = self._cells[number]
        steps = self._api.steps(number)
        ended = build["complete_at"]
        cell = CellProgress(
            arch=self._builders.get(build["builderid"], "?"),
            version=version,
            variant=variant,
            state=_build_state(build),
            steps={step["name"]: _step_state(step) for step in steps},
            text=_telling(steps, build),
            seconds=float((ended or time.time()) - build["started_at"]),
        )
        if build["complete"]:
            self._ended[number] = cell
        return cell


def _build_state(build: Mapping[str, Any]) -> str:
    if not build["complete"]:
        return "running"
    return "done" if build["results"] in (SUCCESS, WARNINGS) else "failed"


def _step_state(step: Mapping[str, Any]) -> str:
    if step["started_at"] is None:
        return "waiting"
    if not step["complete"]:
        return "running"
    if step["results"] == SKIPPED:
        return "skipped"
    return "done" if step["results"] in (SUCCESS, WARNINGS) else "failed"


def _telling(steps: list[dict[str, Any]], build: Mapping[str, Any]) -> str:
    """The line that says most: what runs now, what failed, or the last thing done."""
    shown = [step for step in steps if step["started_at"] is not None and not step["hidden"]]
    for wanted in ("running", "failed"):
        for step in shown:
            if _step_state(step) == wanted:
                return str(step["state_string"])
    # The skipped rest of a reused cell says nothing; the last step that ran does.
    ran = [step for step in shown if _step_state(step) == "done"]
    return str(ran[-1]["state_string"] if ran else build["state_string"])
