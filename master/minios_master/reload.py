"""Has the running master read its configuration again, without disturbing what it builds."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from .state_lock import StateLock


def reload_master(state: StateLock) -> bool:
    """Tell the master that `up` started; returns False when none runs, which is no error.

    Raises:
        MiniosError: it is another user's.
    """
    run = state.holder()
    if run is None or run.kind != "up":
        return False
    try:
        os.kill(run.pid, signal.SIGHUP)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise MiniosError(f"the master (pid {run.pid}) is another user's") from error
    return True
