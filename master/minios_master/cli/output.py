"""How commands speak: consoles, tables, JSON, errors, and the folders they were told to use."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from minios_steps.core.errors import MiniosError

FAILED = 1
"""Exit code: everything ran, and a required cell is not good."""
WRONG = 2
"""Exit code: it could not be done: wrong usage or configuration, or the machine forbids it."""
INTERRUPTED = 130
"""Exit code: Ctrl-C, as shells count it."""

_LOG_WIDTH = 160


@dataclass(frozen=True)
class CliContext:
    """What every command gets as `ctx.obj`: the configuration folder and the state folder, absolute."""

    config: Path
    state: Path


def out_console() -> Console:
    """The console on standard output, for people."""
    return _console(stderr=False)


def err_console() -> Console:
    """The console on standard error: messages, and progress where stdout is for data."""
    return _console(stderr=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> Table:
    """A table of plain texts: nothing in a cell is taken for markup."""
    from rich import box  # noqa: PLC0415  # rich costs a tenth of a second that --json need not pay
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    made = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def print_json(data: Any) -> None:
    """Print data as JSON, the only thing that goes to standard output then."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_plainly() -> None:
    """Let texts be written to a terminal or file that has ASCII only: an arrow becomes `->`."""
    codecs.register_error("minios", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="minios")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    told = "".join("->" if char == "→" else "?" for char in error.object[error.start : error.end])
    return told, error.end


def show_error(error: MiniosError) -> None:
    """Print an error to standard error: one line, and one for what to do about it."""
    sys.stderr.write(f"minios: {error.what}\n")
    if error.hint:
        sys.stderr.write(f"  hint: {error.hint}\n")


def _console(*, stderr: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415

    stream = sys.stderr if stderr else sys.stdout
    # A log has no width of its own, and 80 columns would fold every table.
    wide = not stream.isatty() and "COLUMNS" not in os.environ
    # A compiler's message is full of what could be taken for markup or an emoji's name.
    return Console(
        stderr=stderr,
        width=_LOG_WIDTH if wide else None,
        markup=False,
        emoji=False,
        highlight=False,
    )
