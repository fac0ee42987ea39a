"""From a night's outcomes and what was known before to the report, and to what is known now."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minios_steps.core.cell_result import GOOD
from minios_steps.core.nightly.memory import Failure, Known, Memory
from minios_steps.core.nightly.report import (
    BAD,
    CellLine,
    MissingLine,
    NightlyReport,
    ReleaseLine,
    State,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from minios_steps.core.cell_result import CellResult

_LOST = frozenset({"blocked", "failed"})


@dataclass(frozen=True)
class CellFacts:
    """What a cell's build said of itself; everything may be missing.

    Args:
        why: it was to be built, in words.
        retested: what the test of its released image said; empty when it was not made.
        certain: its failure follows from the inputs alone.
        known: it was not compiled because the same inputs failed before.
        lost: some of its released image was gone from the registry, and was sent again.
        checked: whether kept objects gave the bytes of a clean build.
        toolchain: the compiler's identity.
        prefix: the compiler's prefix.
        build: its URL.
    """

    why: str = ""
    retested: str = ""
    certain: bool = False
    known: bool = False
    lost: bool = False
    checked: bool | None = None
    toolchain: str = ""
    prefix: str = ""
    build: str = ""

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> CellFacts:
        """What `as_json` gave."""
        return cls(**told)


@dataclass(frozen=True)
class Night:
    """What happened in one night.

    Args:
        started: when it began, ISO 8601 in UTC.
        seconds: how long it took.
        build: its URL.
        cells: each cell.
        facts: what their builds said, by the cell's name.
        releases: each `ReleaseReport` in JSON form.
        absent: the configured workers that are not connected, and since when; empty where that is
            not known.
        attach: how to attach a worker for an arch, by its name.
        problem: why there are no cells.
    """

    started: str
    seconds: float
    build: str
    cells: Sequence[CellResult]
    facts: Mapping[str, CellFacts]
    releases: Sequence[Mapping[str, Any]]
    absent: Mapping[str, str]
    attach: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def judge(
    memory: Memory, night: Night, role: Callable[[str], str], growth: float
) -> tuple[NightlyReport, Memory]:
    """The report of a night, and what the next one has to know.

    Args:
        memory: of the nights before.
        night: what happened.
        role: of an arch.
        growth: percent by which an image may grow.
    """
    missing = _missing(memory, night)
    lines = tuple(_line(memory, night, cell, role(cell.arch)) for cell in night.cells)
    releases = _releases(night)
    warnings = (*_cell_warnings(lines, growth), *_losses(night))
    report = NightlyReport(
        verdict=_verdict(lines, releases, bool(warnings or night.absent), night.problem),
        started=night.started,
        seconds=night.seconds,
        build=night.build,
        cells=lines,
        releases=releases,
        missing=missing,
        warnings=warnings,
        problem=night.problem,
    )
    return report, _remember(memory, night, report)


def _line(memory: Memory, night: Night, cell: CellResult, role: str) -> CellLine:
    facts = night.facts.get(_name(cell), CellFacts())
    state = _state(cell, facts)
    known = memory.known.get(_name(cell))
    before = memory.failing.get(_name(cell))
    bad = state in BAD or state == "no-worker"
    since = before.since if before else night.started
    if state == "no-worker":
        # Nobody tried it: that it failed before is another story, which goes on when somebody does.
        since = memory.missing.get(_lacking(cell.arch), night.started)
    first = before.reason if before else cell.reason
    texts: dict[State, str] = {
        "known-failure": f"{first}; nothing changed, so it was not compiled again",
        "changed": facts.why or "built",
        "tested": facts.retested,
        "reused": facts.retested or "its image was not tested again",
    }
    return CellLine(
        arch=cell.arch,
        version=cell.version,
        variant=cell.variant,
        role=role,
        state=state,
        text=texts.get(state) or cell.reason,
        since=since if bad else "",
        digest=cell.digest,
        size=cell.size,
        before=known.size if known else 0,
        build=facts.build,
        checked=facts.checked,
        fresh=cell.outcome == "reused" and known is not None and known.key != cell.key,
    )


def _state(cell: CellResult, facts: CellFacts) -> State:
    if cell.outcome == "reused":
        return "tested" if facts.retested and not facts.retested.startswith("not run") else "reused"
    if cell.outcome in GOOD:
        return "changed"
    if cell.outcome == "failed" and facts.known:
        return "known-failure"
    states: dict[str, State] = {"timed-out": "timed-out", "refused": "refused", "no-worker": "no-worker"}
    return states.get(cell.outcome, "failed")


def _missing(memory: Memory, night: Night) -> tuple[MissingLine, ...]:
    arches = dict.fromkeys(cell.arch for cell in night.cells if cell.outcome == "no-worker")
    lines = [MissingLine(_lacking(arch), "", False, night.attach.get(arch, "")) for arch in arches]
    lines += [MissingLine(f"worker {name}", since, True) for name, since in sorted(night.absent.items())]
    return tuple(
        line if line.since else dataclasses.replace(line, since=memory.missing.get(line.name, night.started))
        for line in lines
    )


def _releases(night: Night) -> tuple[ReleaseLine, ...]:
    told = {(one["version"], one["variant"]): one for one in night.releases}
    wanted = dict.fromkeys((cell.version, cell.variant) for cell in night.cells)
    lines = []
    for version, variant in {**wanted, **dict.fromkeys(told)}:
        one = told.get((version, variant))
        if one is None:
            lines.append(ReleaseLine(version, variant, "failed", reason="its publishing step did not end"))
            continue
        reason = one["reasons"][0] if one["reasons"] else ""
        lines.append(ReleaseLine(version, variant, one["outcome"], tuple(one["tags"]), one["index"], reason))
    return tuple(lines)


def _over(figure: float, bound: float) -> str:
    """A figure with as many digits as it takes to see that it is over a bound; one at least."""
    told = f"{figure:.1f}"
    for digits in range(2, 7):
        if float(told) > bound:
            break
        told = f"{figure:.{digits}f}"
    return told


def _cell_warnings(lines: Sequence[CellLine], growth: float) -> list[str]:
    found = [
        f"{line.name} grew by {_over(line.growth, growth)} %, more than {growth:g} %:"
        f" {line.before:,} to {line.size:,} bytes"
        for line in lines
        if line.growth > growth
    ]
    found += [
        f"{line.name}: objects of earlier builds gave other bytes than a clean build, which was used"
        for line in lines
        if line.checked is False
    ]
    found += [f"{line.name}: {line.text}" for line in lines if line.state == "reused"]
    found += [
        f"{line.name} (candidate) is not good: {line.text}"
        for line in lines
        if line.state in BAD and line.role == "candidate"
    ]
    return found


def _losses(night: Night) -> Iterator[str]:
    for cell in night.cells:
        if night.facts.get(_name(cell), CellFacts()).lost:
            yield f"{_name(cell)}: the registry had lost some of the released image; it was sent again"
    for one in night.releases:
        if one.get("lacked"):
            told = "is still broken" if one["outcome"] in _LOST else "was mended"
            yield f"{one['version']} {one['variant']} {told}: {one['lacked']}"


def _verdict(
    lines: Sequence[CellLine],
    releases: Sequence[ReleaseLine],
    doubtful: bool,  # noqa: FBT001  # private
    problem: str,
) -> Verdict:
    bad = any(line.state in BAD and line.role != "candidate" for line in lines)
    lacking = any(line.state == "no-worker" and line.role == "required" for line in lines)
    if problem or bad or lacking or any(line.outcome in _LOST for line in releases):
        return "failed"
    return "warnings" if doubtful else "good"


def _remember(memory: Memory, night: Night, report: NightlyReport) -> Memory:
    failing, known, checked = dict(memory.failing), dict(memory.known), dict(memory.checked)
    for cell, line in zip(night.cells, report.cells, strict=True):
        name, facts = line.name, night.facts.get(line.name, CellFacts())
        if line.checked is not None:
            checked[name] = night.started
        if cell.outcome in GOOD:
            failing.pop(name, None)
            known[name] = Known(cell.key, cell.size, facts.toolchain, facts.prefix)
        elif line.state == "no-worker" or (line.state == "known-failure" and name in failing):
            continue
        else:
            sure = cell.outcome == "failed" and facts.certain
            failing[name] = Failure(line.since, cell.reason, cell.key, sure)
    # Nothing was heard of an arch that had no cell in this night: whatever was so is still so.
    heard = {_lacking(cell.arch) for cell in night.cells}
    still = {
        name: since
        for name, since in memory.missing.items()
        if name.startswith(_lacking("")) and name not in heard
    }
    missing = {line.name: line.since for line in report.missing}
    return Memory(failing, {**still, **missing}, known, checked)


def _lacking(arch: str) -> str:
    return f"a worker for {arch}"


def _name(cell: CellResult) -> str:
    return f"{cell.arch} {cell.version} {cell.variant}"
