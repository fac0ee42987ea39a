"""Machines of their own on this one: each has a network, processes and mounts that nobody else sees."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# As the first process it inherits every orphan. It ends with its standard input, which is the test's.
_HOLD = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("here", flush=True)
sys.stdin.read()
"""
_NAMESPACES = ("--net", "--mount", "--pid")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_SECONDS = 30


class Host:
    """A machine that is gone with its first process, whoever ends that or the test: the kernel then ends
    what runs on it, and takes its mounts and its cables away.

    It shares this machine's files, as far as nothing is mounted over them, and needs root.
    """

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == "here\n", "no namespaces can be made here"
        unshare = self._holder.pid
        self.pid = int(Path(f"/proc/{unshare}/task/{unshare}/children").read_text("utf-8"))
        self.run("ip", "link", "set", "lo", "up")

    @property
    def enter(self) -> tuple[str, ...]:
        """What goes before a command, to run it on this host."""
        return ("nsenter", "--target", str(self.pid), *_NAMESPACES, "--")

    def path(self, path: str) -> Path:
        """Where this machine sees a file of the host, also one on what is mounted there only."""
        return Path(f"/proc/{self.pid}/root{path}")

    def run(self, *words: str) -> str:
        """Run a command there that must go well; returns its output."""
        done = subprocess.run(
            [*self.enter, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Connections that this thread opens meanwhile begin on the host."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as home, open(f"/proc/{self.pid}/ns/net") as there:  # noqa: PTH123
            assert libc.setns(there.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(home.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def close(self) -> None:
        """Switch it off."""
        assert self._holder.stdin
        self._holder.stdin.close()
        self._holder.wait(_SECONDS)


class Switch(Host):
    """Connects hosts, and nothing else: none of them has a route to anywhere else.

    A host that is unplugged does not see it: its packets, and those for it, are lost in silence.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ports: dict[Host, str] = {}
        self.run("ip", "link", "add", "bridge", "type", "bridge")
        self.run("ip", "link", "set", "bridge", "up")

    def connect(self, host: Host, address: str) -> None:
        """Give a host a cable, and an address with the length of its prefix."""
        port = self._ports.setdefault(host, f"port{len(self._ports)}")
        ends = ("type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        # The switch's own end is named by a number of this machine, so it is made from here.
        subprocess.run(["ip", "link", "add", port, "netns", str(self.pid), *ends], check=True)
        host.run("ip", "address", "add", address, "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "link", "set", port, "up")
        self.plug(host)

    def plug(self, host: Host) -> None:
        """Its packets are forwarded."""
        self.run("ip", "link", "set", self._ports[host], "master", "bridge")

    def unplug(self, host: Host) -> None:
        """They are not."""
        self.run("ip", "link", "set", self._ports[host], "nomaster")
