"""`make bench`: every bench, one after the other, and one table of what they found.

A subject is a module `bench_NAME` beside this one with `rows(options) -> list[Row]`. Nothing is
judged but the bounds that are printed; the exit code is 0 also where a figure is over its bound, and 1
where one could not be had.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from options import Options
from rich.console import Console
from table import Row, markdown, terminal, write_between_marks
from this_machine import describe

ROOT = Path(__file__).resolve().parents[2]
SUBJECTS = ("cell", "speed", "emulated", "size", "nightly", "dispatch", "memory", "gather", "push")
"""In the order of the table."""
WIDTH = 150
ROUNDS, QUICK_ROUNDS = 3, 1


def main() -> None:
    """Measure what was asked for, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=SUBJECTS, help="a subject; may be repeated")
    parser.add_argument("--arch", action="append", default=[], help="a CPU to compile for; may be repeated")
    parser.add_argument("--rounds", type=int, help="alternating rounds of what is compared")
    parser.add_argument("--quick", action="store_true", help="one round, smaller numbers, one CPU")
    parser.add_argument("--full", action="store_true", help="the emulated compiler compiles all of BusyBox")
    parser.add_argument("--cache", type=Path, default=ROOT / ".state" / "bench-cache", help="kept downloads")
    parser.add_argument(
        "--markdown", type=Path, help="a file with the two marks between which the table goes"
    )
    chosen = parser.parse_args()
    console = Console(stderr=True)
    rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    machine = [*describe(), f"rounds of what is compared: {rounds}"]
    found: list[Row] = []
    failed: list[str] = []
    for subject in chosen.only or SUBJECTS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"minios-bench-{subject}-") as folder:
            options = Options(
                folder=Path(folder),
                cache=chosen.cache,
                arches=tuple(chosen.arch),
                quick=chosen.quick,
                full=chosen.full,
                rounds=rounds,
                say=lambda line: console.print(f"  {line}", highlight=False),
            )
            console.print(f"{subject}…", highlight=False)
            try:
                found += importlib.import_module(f"bench_{subject}").rows(options)
            except Exception as error:  # noqa: BLE001  # an hour's other figures are worth more
                failed.append(subject)
                console.print(f"  {type(error).__name__}: {error}", highlight=False, markup=False)
        if chosen.markdown:
            # After each one: whoever stops it keeps what was measured.
            write_between_marks(chosen.markdown, markdown(machine, found))
        console.print(f"{subject}: {time.monotonic() - started:.0f} s", highlight=False)
    table = Console(width=max(WIDTH, console.width))
    for line in machine:
        table.print(line, highlight=False)
    table.print(terminal(found))
    if failed:
        sys.exit(f"could not be measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
