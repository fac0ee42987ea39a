"""Runs the worker in this process until it is stopped, or is refused for good."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from minios_worker.lazy import postpone
from minios_worker.problem import WorkerError

if TYPE_CHECKING:
    from minios_worker.home import Home

REFUSED = 4
"""Exit code: starting again would not help. The service files know it."""


def run(home: Home) -> int:
    """Run; returns the exit code.

    Raises:
        WorkerError: this machine was never attached.
    """
    if not home.tac.exists() or home.attachment() is None:
        raise WorkerError("this machine was never attached: run the bundle with --invite")
    home.tell_why("")
    home.tell_connected(connected=False)
    # What a build runs must not see our libraries, nor how we save memory.
    for name in ("PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "MALLOC_ARENA_MAX"):
        os.environ.pop(name, None)
    os.chdir(str(home.basedir))
    sys.argv = ["twistd", "--nodaemon", "--no_save", "--pidfile=", f"--python={home.tac}"]
    postpone()
    from twisted.scripts.twistd import run as twistd  # noqa: PLC0415  # a tenth of a second others need not pay

    twistd()  # type: ignore[no-untyped-call]
    return REFUSED if home.stopped() else 0
