"""What a bench found, as rows of one table: for a terminal, and for the README."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = ("what", "baseline", "minios", "ratio", "bound", "")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Bound:
    """What a figure is held against: at most `limit`, or at least."""

    limit: float
    unit: str = ""
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:g}{self.unit and f' {self.unit}'}"

    def holds(self, value: float) -> bool:
        """Whether a figure is within it."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Row:
    """One thing that was measured.

    Args:
        what: in words.
        ours: minios' figure, with its unit.
        baseline: what it is compared with, likewise; empty where there is nothing.
        ratio: the one by the other, the way the bound is told; None where there is no baseline.
        bound: of the ratio, or of `judged` where there is one.
        judged: the figure that the bound is about, in the bound's unit.
        least, most: of the ratios of each round.
    """

    what: str
    ours: str
    baseline: str = ""
    ratio: float | None = None
    bound: Bound | None = None
    judged: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def verdict(self) -> str:
        """`ok` or `over`; empty where nothing is asked for."""
        value = self.ratio if self.judged is None else self.judged
        if self.bound is None or value is None:
            return ""
        return "ok" if self.bound.holds(value) else "over"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as texts, in the order of `COLUMNS`."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        if self.least is not None and self.most is not None:
            ratio += f" ({self.least:.2f}-{self.most:.2f})"
        return (
            self.what,
            self.baseline,
            self.ours,
            ratio,
            str(self.bound) if self.bound else "",
            self.verdict,
        )


def terminal(rows: Sequence[Row]) -> Table:
    """The table for people at a terminal."""
    table = Table(box=None)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in (COLUMNS[0], "") else "right", overflow="fold")
    for row in rows:
        table.add_row(*row.cells)
    return table


def markdown(machine: Sequence[str], rows: Sequence[Row]) -> str:
    """The machine and the table as Markdown."""
    lines = [*(f"{line}  " for line in machine[:-1]), machine[-1], ""]
    lines += [_line(COLUMNS), "|---|---:|---:|---:|---:|---|", *(_line(row.cells) for row in rows)]
    return "\n".join(lines) + "\n"


def write_between_marks(path: Path, text: str) -> None:
    """Replace what is between the two marks of a file.

    Raises:
        ValueError: they are not there.
    """
    before, begin, rest = path.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the table: {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}", "utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
