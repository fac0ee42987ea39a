"""Machines that the worker bundle is unpacked on: a folder of this one, or an old Debian below it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachebed import CACHE, filling
from minios_master.bundle.fetch import fetch_wheels
from minios_master.bundle.lock import choose_lock
from minios_master.bundle.pack import write_bundle
from userland import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from userland import Minios

RECIPE = ROOT / "workers"
LOCKS = RECIPE / "bundle"


def make_bundle(python: str, dest: Path) -> Path:
    """Write the bundle for a version of Python; returns the file."""
    lock = choose_lock(LOCKS, python)
    with filling("wheels"):
        wheels = fetch_wheels(lock, CACHE / "wheels")
    write_bundle(lock, wheels, RECIPE, dest)
    return dest


class Machine:
    """A machine with a bundle on it.

    Args:
        folder: where the bundle is, on this machine.
        root: the root of the old system that it is below; None for this one.
        python: the interpreter's name there; the first that fits when empty.
    """

    def __init__(self, folder: Path, root: Path | None = None, python: str = "") -> None:
        self.folder = folder
        self.root = root
        self.python = python
        self.dir = folder / "worker"

    def shell(self, line: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a line of shell on the machine, in the bundle's folder."""
        words = ["/bin/sh", "-c", line]
        if self.root is not None:
            inside = f"/{self.folder.relative_to(self.root)}"
            # A mount namespace of its own, so that nothing need be unmounted.
            enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"'
            words = ["unshare", "--mount", "sh", "-c", enter, str(self.root), f"cd {inside} && {line}"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MINIOS_")}
        return subprocess.run(
            words,
            cwd=self.folder,
            env={**kept, "PYTHON": self.python} if self.python else kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def attach(self, bundle: str, invite: str, *more: str) -> subprocess.CompletedProcess[str]:
        """What the vendor types."""
        return self.shell(" ".join(("sh", bundle, "--invite", invite, "--dir", "worker", *more)))

    def tool(self, command: str) -> subprocess.CompletedProcess[str]:
        """`minios-worker COMMAND`."""
        return self.shell(f"worker/minios-worker {command}")

    @property
    def process(self) -> int:
        """The pid of the worker itself, the supervisor's child."""
        supervisor = (self.dir / "pid").read_text("utf-8").strip()
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text("utf-8").split()
        return int(children[0])

    def resident(self) -> int:
        """Bytes of memory of the worker process."""
        status = Path(f"/proc/{self.process}/status").read_text("utf-8")
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def loaded(self) -> set[Path]:
        """What the worker process has mapped from the folder it was unpacked into."""
        maps = Path(f"/proc/{self.process}/maps").read_text("utf-8")
        files = {Path(line.split(maxsplit=5)[5]) for line in maps.splitlines() if "/" in line}
        return {path for path in files if self.dir in path.parents}


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def invite(cli: Minios, *words: str) -> str:
    """`minios worker invite`: the string."""
    done = cli.run("worker", "invite", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def workers(cli: Minios) -> dict[str, dict[str, Any]]:
    """`minios worker list`, by name."""
    done = cli.run("worker", "list", "--json")
    assert done.returncode == 0, done.stderr
    return {worker["name"]: worker for worker in json.loads(done.stdout)}


def wait_cells(cli: Minios, name: str) -> None:
    """Wait until the master has probed a worker and gives it cells."""
    wait_for(lambda: bool(workers(cli)[name]["cells"]), f"{name} gets cells")


def wait_connected(cli: Minios, name: str) -> None:
    """Wait until the master has a worker."""
    wait_for(lambda: bool(workers(cli)[name]["connected"]), f"{name} connected")
