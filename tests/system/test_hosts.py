"""The hosts of these tests leave nothing behind, also when the test is killed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hostbed import Host, Switch
from userland import ROOT
from workerbed import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = ("unshare", "nsenter", "ip")
PLAY = """
import subprocess, sys, time
sys.path.insert(0, {tests!r})
from hostbed import Host
host = Host()
subprocess.Popen([*host.enter, "sleep", "600"])
while "sleep\\n" not in [path.read_text() for path in host.path("/proc").glob("[0-9]*/comm")]:
    time.sleep(0.01)
print(host.pid, flush=True)
time.sleep(600)
"""


def reaches(host: Host, address: str) -> bool:
    """Whether a host gets an answer: nobody listens there, but somebody says so."""
    tried = f"import socket; socket.create_connection(({address!r}, 9), 1)"
    done = subprocess.run(
        [*host.enter, sys.executable, "-c", tried], capture_output=True, text=True, timeout=30, check=False
    )
    assert "ConnectionRefusedError" in done.stderr or "TimeoutError" in done.stderr, done.stderr
    return "ConnectionRefusedError" in done.stderr


def test_a_switch_connects_and_cuts(need: Callable[..., None]) -> None:
    need(*TOOLS, root=True)
    with closing(Switch()) as switch, closing(Host()) as one, closing(Host()) as two:
        switch.connect(one, "192.0.2.1/30")
        switch.connect(two, "192.0.2.2/30")
        assert reaches(one, "192.0.2.2")
        switch.unplug(two)
        assert not reaches(one, "192.0.2.2")
        switch.plug(two)
        assert reaches(one, "192.0.2.2")
        assert "default" not in one.run("ip", "route")
        with one.network():
            assert Path("/proc/thread-self/ns/net").readlink() == Path(f"/proc/{one.pid}/ns/net").readlink()
    assert not Path(f"/proc/{one.pid}").exists()


def test_a_killed_test_takes_its_hosts_along(need: Callable[..., None]) -> None:
    need(*TOOLS, root=True)
    script = PLAY.format(tests=str(ROOT / "tests"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as test:
        assert test.stdout
        host = Path(f"/proc/{test.stdout.readline().strip()}")
        namespace = (host / "ns" / "pid").readlink()
        test.kill()
    wait_for(lambda: not host.exists(), "the host is gone", 10)
    assert namespace not in _namespaces()


def _namespaces() -> set[Path]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/ns/pid"):
        try:
            found.add(path.readlink())
        except OSError:
            continue
    return found
