"""The report of a nightly, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minios_steps.core.nightly.report import BAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from minios_steps.core.nightly.report import CellLine, NightlyReport, ReleaseLine


def headline(report: NightlyReport) -> str:
    """One line: when, and how many cells came to what."""
    if report.problem:
        return f"nightly of {_time(report.started)}: {report.problem}"
    gone = sum(1 for line in report.missing if line.worker)
    counts = (
        (sum(1 for cell in report.cells if _is_bad(cell)), "failed"),
        (sum(1 for cell in report.cells if cell.changed), "changed"),
        (_count(report, "tested"), "unchanged and tested again"),
        (_count(report, "reused"), "unchanged and not tested"),
        (
            sum(1 for cell in report.cells if cell.state == "no-worker" and not _is_bad(cell)),
            "without a worker",
        ),
        (gone, "worker missing" if gone == 1 else "workers missing"),
        (len(report.warnings), "warning" if len(report.warnings) == 1 else "warnings"),
    )
    told = ", ".join(f"{number} {what}" for number, what in counts if number)
    return f"nightly of {_time(report.started)}: {told or 'nothing to do'}"


def report_lines(report: NightlyReport) -> Iterator[str]:
    """The whole report, a line at a time; what is bad comes first."""
    yield headline(report)
    yield from _section("failed", (_bad(cell) for cell in report.cells if _is_bad(cell)))
    yield from _section("warnings", report.warnings)
    yield from _section("changed", (_good(cell) for cell in report.cells if cell.changed))
    yield from _section(
        "unchanged, tested again",
        (_good(cell) for cell in report.cells if cell.state == "tested" and not cell.changed),
    )
    yield from _section("releases", map(_release, report.releases))
    yield from _section(
        "missing",
        (
            f"{line.name}, since {_time(line.since)}{f': {line.attach}' if line.attach else ''}"
            for line in report.missing
        ),
    )
    yield ""
    yield f"{report.seconds:.0f} s{f', {report.build}' if report.build else ''}"


def report_text(report: NightlyReport) -> str:
    """The whole report."""
    return "\n".join(report_lines(report)) + "\n"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield title
        yield from (f"  {line}" for line in found)


def _is_bad(cell: CellLine) -> bool:
    return cell.state in BAD or (cell.state == "no-worker" and cell.role == "required")


def _bad(cell: CellLine) -> str:
    what = "" if cell.state in ("failed", "known-failure") else f"{cell.state}: "
    candidate = " (candidate)" if cell.role == "candidate" else ""
    return f"{cell.name}{candidate}, since {_time(cell.since)}: {what}{cell.text}"


def _good(cell: CellLine) -> str:
    size = f"{cell.size:,} bytes"
    if cell.before and cell.before != cell.size:
        size += f" ({cell.growth:+.1f} %)"
    candidate = " (candidate)" if cell.role == "candidate" else ""
    fresh = "built since the last nightly; " if cell.fresh else ""
    checked = "; the same bytes as a clean build" if cell.checked else ""
    return f"{cell.name}{candidate}: {fresh}{cell.text}{checked}; {size}"


def _release(line: ReleaseLine) -> str:
    what = f"{line.version} {line.variant}: {line.outcome}"
    if line.outcome in ("released", "unchanged", "partial"):
        what += f", index {line.index.removeprefix('sha256:')[:12]} as {', '.join(line.tags)}"
    return what + (f": {line.reason}" if line.reason and line.outcome in ("blocked", "failed") else "")


def _count(report: NightlyReport, state: str) -> int:
    return sum(1 for cell in report.cells if cell.state == state and not cell.changed)


def _time(text: str) -> str:
    """`2026-11-24T02:30:00+00:00` as people write it."""
    when = text[:16].replace("T", " ")
    return f"{when} UTC" if when else "an unknown time"
