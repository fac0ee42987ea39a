"""What every bench is told: how much to do, and where."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Options:
    """How a bench is to be run.

    Args:
        folder: an empty one to work in.
        cache: a state folder's `cache`, with the sources and C libraries, so that nothing is downloaded.
        arches: the CPUs to measure with; empty for all that this machine compiles for.
        quick: fewer rounds and smaller numbers.
        full: the whole of what is otherwise measured on a part.
        rounds: alternating rounds.
        say: told what goes on.
    """

    folder: Path
    cache: Path
    arches: tuple[str, ...]
    quick: bool
    full: bool
    rounds: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Ratios:
    """Two ways to do the same, measured in alternating rounds, in the same unit."""

    baseline: Sequence[float]
    ours: Sequence[float]

    @property
    def each(self) -> list[float]:
        """The ratio of each round: whatever else the machine does hits both of a round."""
        return [ours / theirs for theirs, ours in zip(self.baseline, self.ours, strict=True)]

    @property
    def middle(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.each)

    @property
    def least(self) -> float | None:
        """The least of them; None where there was one round."""
        return min(self.each) if len(self.ours) > 1 else None

    @property
    def most(self) -> float | None:
        """The greatest of them, likewise."""
        return max(self.each) if len(self.ours) > 1 else None


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)
