"""The end of a run, for people: what each cell came to, and what was released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from .printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .matrix_run import Outcome

_STYLES = {"published": "green", "reused": "green", "built": "yellow", "no-worker": "yellow"}


def outcome_table(outcome: Outcome) -> Table:
    """Arch, outcome, digest, compressed size, time; one row per cell."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("arch", "version", "variant", "outcome", "digest"):
        table.add_column(name, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for cell in outcome.cells:
        digest = str(cell["digest"] or "-").removeprefix("sha256:")[:12]
        size = f"{cell['size'] / 1e6:.2f} MB" if cell["size"] else "-"
        seconds = f"{cell['seconds']:.0f} s" if cell["seconds"] else "-"
        mark = Text(cell["outcome"], style=_STYLES.get(cell["outcome"], "red"))
        table.add_row(cell["arch"], cell["version"], cell["variant"], mark, digest, size, seconds)
    return table


def outcome_lines(outcome: Outcome, place: str) -> Iterator[str]:
    """What the table cannot say: reasons, releases, how to go on; `place` is what tags are told after.

    A line is plain text, not markup.
    """
    told: set[tuple[str, str]] = set()
    for cell in outcome.cells:
        line = printable(_explain(cell))
        if line and (cell["arch"], line) not in told:
            told.add((cell["arch"], line))
            yield f"{cell['arch']}: {line}"
    for release in outcome.releases:
        yield printable(_release_line(release, place))
    for version, variant in unreleased(outcome):
        why = outcome.problem or "its publishing step did not end"
        yield printable(f"{version} {variant} is not released: {why}")


def unreleased(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """Each version and variant of the run of which no release report came, as when publishing crashed."""
    told = {(release["version"], release["variant"]) for release in outcome.releases}
    wanted = dict.fromkeys((cell["version"], cell["variant"]) for cell in outcome.cells)
    return tuple(pair for pair in wanted if pair not in told)


def _explain(cell: dict[str, Any]) -> str:
    """Why a cell is not good, or how to make it so; empty for a good one."""
    if cell["outcome"] == "no-worker":
        return f"no worker is attached; {cell['attach']}" if cell["attach"] else str(cell["reason"])
    return "" if cell["outcome"] in ("published", "reused", "built") else str(cell["reason"])


def _release_line(release: dict[str, Any], place: str) -> str:
    what = f"{release['version']} {release['variant']}"
    if release["outcome"] == "blocked":
        why = release["reasons"][0] if release["reasons"] else "no cell is good"
        return f"{what} is not released: {why}; nothing was written"
    if release["outcome"] == "failed":
        return f"{what} is not released: {release['reasons'][0]}"
    tags = ", ".join(f"{place}:{tag}" for tag in release["tags"])
    digest = release["index"].removeprefix("sha256:")[:12]
    if release["outcome"] == "partial":
        why = release["reasons"][0] if release["reasons"] else "not every required arch was asked for"
        return f"{what} is not a release ({why}); index {digest} at {tags}"
    verb = "is unchanged" if release["outcome"] == "unchanged" else "is released"
    if release.get("candidate"):
        verb = "is a candidate, not released"
    kept = f"; kept from the previous index: {', '.join(release['carried'])}" if release["carried"] else ""
    return f"{what} {verb}: index {digest} at {tags}{kept}"
