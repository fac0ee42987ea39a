"""Nights made up for tests: cells, what their builds said, and what one night leaves to the next."""

from __future__ import annotations

import dataclasses
from typing import Any

from releasebed import cell

from minios_steps.core.cell_result import CellResult
from minios_steps.core.nightly.judge import CellFacts, Night, judge
from minios_steps.core.nightly.memory import Memory
from minios_steps.core.nightly.report import CellLine, NightlyReport

FIRST = "2026-01-01T02:30:00+00:00"
SECOND = "2026-01-02T02:30:00+00:00"
THIRD = "2026-01-03T02:30:00+00:00"
BUILD = "http://127.0.0.1/#/builders/9/builds/"
ROLES = {"x86_64": "required", "aarch64": "required", "sw64": "optional"}
TESTED = "the released image aaaaaaaaaaaa: 6 checks passed natively"
KEY = "sha256:" + "1" * 64
OTHER_KEY = "sha256:" + "2" * 64


def good(arch: str = "x86_64", outcome: str = "reused", size: int = 1000, key: str = KEY) -> CellResult:
    """A cell with an image."""
    made = cell(arch)
    digest = "sha256:" + "a" * 64
    told: dict[str, Any] = {"outcome": outcome, "size": size, "key": key, "digest": digest}
    return dataclasses.replace(CellResult.failed(made, ""), **told)


def bad(arch: str = "x86_64", reason: str = "compile failed: x.c:1: error", key: str = KEY) -> CellResult:
    """A cell whose build failed."""
    return dataclasses.replace(CellResult.failed(cell(arch), reason), key=key)


def named(result: CellResult) -> str:
    return f"{result.arch} {result.version} {result.variant}"


def released(outcome: str = "unchanged", **more: Any) -> dict[str, Any]:
    """A `ReleaseReport` in JSON form."""
    told = {"version": "1.38.0", "variant": "static", "outcome": outcome, "tags": ["1.38.0", "latest"]}
    return {**told, "index": "sha256:" + "c" * 64, "reasons": [], **more}


class Nights:
    """Night after night."""

    def __init__(self, growth: float = 5.0) -> None:
        self.growth = growth
        self.memory = Memory()

    def night(
        self,
        started: str,
        *cells: CellResult,
        facts: dict[str, CellFacts] | None = None,
        releases: list[dict[str, Any]] | None = None,
        absent: dict[str, str] | None = None,
        problem: str = "",
    ) -> NightlyReport:
        """A night whose reused cells were tested, but for what `facts` say by arch."""
        usual = {one.arch: CellFacts(retested=TESTED) for one in cells if one.outcome == "reused"}
        told = {**usual, **(facts or {})}
        night = Night(
            started=started,
            seconds=42.0,
            build=f"{BUILD}1",
            cells=cells,
            facts={named(one): told[one.arch] for one in cells if one.arch in told},
            releases=[released()] if releases is None else releases,
            absent=absent or {},
            attach={"sw64": "start a worker there"},
            problem=problem,
        )
        report, self.memory = judge(
            self.memory, night, lambda arch: ROLES.get(arch, "candidate"), self.growth
        )
        # What is kept in files and databases is what comes back from them.
        assert Memory.from_json(self.memory.as_json()) == self.memory
        assert NightlyReport.from_json(report.as_json()) == report
        return report


def line(report: NightlyReport, arch: str = "x86_64") -> CellLine:
    [found] = [one for one in report.cells if one.arch == arch]
    return found
