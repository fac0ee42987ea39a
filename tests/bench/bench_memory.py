"""Whether the master's memory stays flat: resident memory after 100 builds and after 1,000."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_dispatch import run_master
from table import Bound, Row

if TYPE_CHECKING:
    from options import Options

BOUND = Bound(1.1)


def rows(options: Options) -> list[Row]:
    """Rounds of a hundred cells, in one master; ten rounds, or three when it has to be quick."""
    rounds = 3 if options.quick else 10
    told = run_master("ours", options.folder / "memory", 10, 10, rounds)
    first, last = told[0]["rss"], told[-1]["rss"]
    for number, row in enumerate(told, 1):
        options.say(
            f"memory after {number * 100} builds: {row['rss']:.1f} MB, {row['cpu'] * 10:.0f} ms a cell"
        )
    return [
        Row(
            f"master's memory after {rounds * 100} builds, against after 100",
            baseline=f"{first:.0f} MB",
            ours=f"{last:.0f} MB",
            ratio=last / first,
            bound=BOUND,
        ),
        Row(
            f"processor per cell, builds {(rounds - 1) * 100} to {rounds * 100} against the first 100",
            baseline=f"{told[0]['cpu'] * 10:.0f} ms",
            ours=f"{told[-1]['cpu'] * 10:.0f} ms",
            ratio=told[-1]["cpu"] / told[0]["cpu"],
        ),
    ]
