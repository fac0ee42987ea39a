"""What dispatching costs: cells with a toolchain that does nothing, against a plain Buildbot.

The plain Buildbot has as many builders, workers, builds and steps; each step is a ShellCommand that
runs `true`. It is measured as it comes, and once more with its database kept open as minios keeps it.
Masters run one after the other, in alternating rounds; the local workers are inside them. Processor
time is the master's, without what its workers start.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from options import Ratios, median
from table import Bound, Row

if TYPE_CHECKING:
    from options import Options

CHILD = Path(__file__).with_name("dispatch_child.py")
BOUND = Bound(1.1)
KINDS = {"plain": "plain Buildbot", "kept": "plain Buildbot, its database kept open"}
_SECONDS = 3600

Told = dict[str, float]


def rows(options: Options) -> list[Row]:
    """200 cells; 20 when it has to be quick."""
    arches, versions = (10, 2) if options.quick else (10, 20)
    found: dict[str, list[Told]] = {kind: [] for kind in ("plain", "kept", "ours")}
    for number in range(options.rounds):
        for kind, made in found.items():
            folder = options.folder / f"dispatch-{kind}-{number}"
            [told] = run_master(kind, folder, arches, versions, 1)
            made.append(told)
            options.say(f"dispatch, {kind}: {told['wall']:.1f} s, {told['cpu']:.1f} s of processor")
    cells = arches * versions
    table: list[Row] = []
    for kind, name in KINDS.items():
        table += [
            _row(f"dispatch of {cells} cells, wall clock; {name}", found, kind, "wall", 1, "s"),
            _row(f"dispatch, processor per cell; {name}", found, kind, "cpu", 1000 / cells, "ms"),
        ]
    table.append(_row(f"dispatch, memory afterwards; {KINDS['plain']}", found, "plain", "rss", 1, "MB"))
    return table


def run_master(kind: str, folder: Path, arches: int, versions: int, rounds: int) -> list[Told]:
    """Run a master in a process of its own: see `dispatch_child`.

    Raises:
        RuntimeError: not every cell was built well.
    """
    folder.mkdir(parents=True)
    words = [sys.executable, str(CHILD), kind, str(folder), str(arches), str(versions), str(rounds)]
    with (folder / "stderr").open("wb") as errors:
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=errors, timeout=_SECONDS)
    told: list[Told] = json.loads(done.stdout)
    for number, row in enumerate(told, 1):
        if row["good"] != number * arches * versions:
            raise RuntimeError(f"{kind}: {row['good']:.0f} of {number * arches * versions} cells built well")
    return told


def _row(what: str, found: dict[str, list[Told]], kind: str, figure: str, factor: float, unit: str) -> Row:
    theirs, ours = ([row[figure] * factor for row in found[who]] for who in (kind, "ours"))
    ratios = Ratios(theirs, ours)
    return Row(
        what,
        baseline=f"{median(theirs):.0f} {unit}",
        ours=f"{median(ours):.0f} {unit}",
        ratio=ratios.middle,
        bound=BOUND if figure == "wall" and kind == "plain" else None,
        least=ratios.least,
        most=ratios.most,
    )
