"""Why a cell failed: for the machine's sake, which may pass, or for that of its inputs, which will not."""

from __future__ import annotations

import re

SURE_STEPS = frozenset({"configure", "compile", "stage"})
"""The steps that make the same of the same inputs; their names are the sources of `problem`."""

# Of the C library (strerror), of gcc's driver and cc1, of make, and of our own steps.
_MACHINE = re.compile(
    r"no space left|disk quota|disk is full|disk full|input/output error|read-only file system"
    r"|cannot allocate memory|out of memory|virtual memory exhausted|memory exhausted"
    r"|\bkilled\b|signal terminated|too many open files|resource temporarily unavailable"
    r"|timed out|time limit|connection|the worker could not|the worker cannot|on the worker",
    re.IGNORECASE,
)


def is_sure(outcome: str, step: str, reason: str) -> bool:
    """Whether a cell would fail again with the same inputs: it is known to, not only likely to.

    Args:
        outcome: as in `CellResult`.
        step: the step that failed, empty when none said so.
        reason: what it said.
    """
    return outcome == "failed" and step in SURE_STEPS and not _MACHINE.search(reason)
