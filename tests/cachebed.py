"""What tests fetch and make once for all of them, also where several processes run them side by side."""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

from configbed import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = ROOT / ".state" / "test-cache"
"""Kept between test runs; content-addressed, so no test can spoil another."""


@contextlib.contextmanager
def filling(part: str) -> Iterator[None]:
    """While it lasts, nobody else fills this part of the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{part}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
