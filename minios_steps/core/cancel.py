"""Long work that somebody may cancel: asked often, from the working thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.05
"""How often something that waits looks again, and asks whether it was cancelled."""


class CancelledError(MiniosError):
    """Somebody cancelled the work."""


def never() -> bool:
    """For work that nobody can cancel."""
    return False


def stop_if(cancelled: Callable[[], bool]) -> None:
    """Raise `CancelledError` when the work was cancelled."""
    if cancelled():
        raise CancelledError("cancelled")


def pause(seconds: float, cancelled: Callable[[], bool]) -> None:
    """Wait; raises `CancelledError` as soon as the work is cancelled."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        stop_if(cancelled)
        time.sleep(min(left, POLL_SECONDS))
