"""Whether this machine can build: all that is missing, at once, before anything is written."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from minios_worker.problem import WorkerError

TOOLS = ("sh", "gcc", "make", "tar", "gzip", "bzip2")
"""What a build runs. Its output comes back to the master, which has the rest."""
DISK = 300 * 1000 * 1000
"""Bytes: a source tree with its objects, twice."""


def check(folder: Path) -> None:
    """Look for the tools and the room, and whether the bundle was made for such a machine.

    Raises:
        WorkerError: what is wrong, in one line.
    """
    meant = (Path(__file__).parents[1] / "machines").read_text("utf-8").split()
    if meant and platform.machine() not in meant:
        raise WorkerError(
            "this machine is {}, the bundle is for {}".format(platform.machine(), ", ".join(meant))
        )
    missing = [name for name in TOOLS if shutil.which(name) is None]
    wrong = ["missing: {}".format(", ".join(missing))] if missing else []
    free = shutil.disk_usage(str(existing(folder))).free
    if free < DISK:
        wrong.append(f"only {free // 10**6} MB free in {folder}, {DISK // 10**6} MB are needed")
    if wrong:
        raise WorkerError("; ".join(wrong))


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.resolve()
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def facts() -> dict[str, str]:
    """What the master is told about this machine, and all of it: four words."""
    return {
        "uname": platform.machine(),
        "kernel": platform.release(),
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "cores": str(os.cpu_count() or 1),
    }
