"""The live display of a run: a table on a terminal, a line per change anywhere else."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from .printable import printable
from .progress import PIPELINE, CellProgress, MatrixProgress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from rich.console import Console
    from typing_extensions import Self

_MARKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "done": ("✓", "green"),
        "running": ("●", "cyan"),
        "failed": ("✗", "red"),
        "skipped": ("-", "dim"),
        "waiting": ("·", "dim"),
    }
)

_WIDE = 130
"""Columns that a name for each step takes, with some words for what happens now."""


def progress_table(progress: MatrixProgress, width: int) -> Table:
    """Arch by step, with the time so far and what happens now, a line for each cell.

    Args:
        progress: what to draw.
        width: of the terminal, in columns; on a narrow one the steps share a column.
    """
    wide = width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("arch", "version", "variant"):
        table.add_column(name, no_wrap=True)
    for name in PIPELINE if wide else ("steps",):
        table.add_column(name, justify="center" if wide else "left", no_wrap=True)
    table.add_column("elapsed", justify="right", no_wrap=True)
    # It has what is left of the line and never pushes the others.
    table.add_column("now", overflow="ellipsis", no_wrap=True, ratio=1)
    for cell in progress.cells:
        # A step that an ended build does not have was not needed.
        missing = "waiting" if cell.state == "running" else "skipped"
        marks = [_mark(cell.steps.get(name, missing)) for name in PIPELINE]
        shown = marks if wide else [Text().join(marks)]
        # A text of its own: a compiler's message is full of what a table takes for markup.
        now = Text(printable(cell.text))
        table.add_row(cell.arch, cell.version, cell.variant, *shown, f"{cell.seconds:.0f} s", now)
    return table


def _mark(state: str) -> Text:
    mark, style = _MARKS[state]
    return Text(mark, style=style)


class LiveDisplay:
    """Shows each `MatrixProgress` it is given.

    Args:
        console: where to; on a terminal one table is redrawn, elsewhere, and where `TERM` says
            that it cannot be (`dumb`), a line is printed whenever a cell enters another step or ends.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        redraws = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, refresh_per_second=4, transient=True) if redraws else None
        self._said: dict[tuple[str, str, str], str] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, progress: MatrixProgress) -> None:
        """Draw, or print what changed."""
        if self._live:
            self._live.update(progress_table(progress, self._console.width))
            return
        for cell in progress.cells:
            self._print_change(cell)

    def _print_change(self, cell: CellProgress) -> None:
        step = next((name for name in PIPELINE if cell.steps.get(name) == "running"), "")
        now = step or cell.state
        key = (cell.arch, cell.version, cell.variant)
        if self._said.get(key) == now or (not step and cell.state == "running"):
            return
        self._said[key] = now
        text = cell.text if cell.state != "running" else "started"
        head = f"[{cell.seconds:6.1f} s] {cell.arch} {cell.version} {cell.variant}"
        self._console.print(Text(f"{head}  {now}: {printable(text)}"), soft_wrap=True)
