"""Machines that the worker bundle is unpacked on: a folder of this one, or another one entered for it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from cachebed import CACHE, filling
from minios_master.bundle.fetch import fetch_wheels
from minios_master.bundle.lock import choose_lock
from minios_master.bundle.pack import write_bundle
from userland import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

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
        folder: where the bundle is, as this machine sees it.
        enter: what goes before a command to run it on that machine; nothing for this one.
        inside: the folder as that machine sees it; the same when empty.
        python: the interpreter's name there; the first that fits when empty.
    """

    def __init__(self, folder: Path, enter: Sequence[str] = (), inside: str = "", python: str = "") -> None:
        self.folder = folder
        self.enter = tuple(enter)
        self.inside = inside or str(folder)
        self.python = python
        self.dir = folder / "worker"

    def shell(self, line: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a line of shell on the machine, in the bundle's folder."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MINIOS_")}
        return subprocess.run(
            [*self.enter, "/bin/sh", "-c", f"cd {self.inside} && {line}"],
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
        """The pid, on the machine, of the worker itself: the supervisor's child."""
        supervisor = (self.dir / "pid").read_text("utf-8").strip()
        return int(self._proc(f"{supervisor}/task/{supervisor}/children").split()[0])

    def resident(self) -> int:
        """Bytes of memory of the worker process."""
        [line] = [line for line in self._proc(f"{self.process}/status").splitlines() if "VmRSS:" in line]
        return int(line.split()[1]) * 1024

    def loaded(self) -> set[str]:
        """What the worker process has mapped from the folder it was unpacked into."""
        lines = self._proc(f"{self.process}/maps").splitlines()
        files = {line.split(maxsplit=5)[5] for line in lines if "/" in line}
        return {path for path in files if path.startswith(f"{self.inside}/worker/")}

    def _proc(self, path: str) -> str:
        return self.shell(f"cat /proc/{path}").stdout


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
