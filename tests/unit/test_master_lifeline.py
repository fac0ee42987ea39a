from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from minios_master.lifeline import Lifeline

CHILD = """
import sys
from buildbot.util.service import MasterService
from minios_master.lifeline import Lifeline
from twisted.internet import defer, reactor

class Master(MasterService):
    reactor = reactor

async def start():
    master = Master()
    await master.startService()
    await Lifeline().setServiceParent(master)
    print("up", flush=True)

reactor.callWhenRunning(lambda: defer.ensureDeferred(start()))
reactor.run()
print("down", flush=True)
"""


def test_process_ends_with_its_standard_input() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"up\n"
            child.stdin.write(b"anything")
            child.stdin.flush()
            assert child.poll() is None
            child.stdin.close()
            assert child.stdout.read() == b"down\n"
            assert child.wait(5) == 0
        finally:
            child.kill()


def test_process_without_a_standard_input_ends_at_once() -> None:
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, b"up\ndown\n")


class _Line(Lifeline):
    """A lifeline with a master of the test's."""

    master: Any = None


def test_cut_when_there_is_nothing_to_end() -> None:
    line = _Line()
    line.cut()
    calls: list[Any] = []
    reactor = SimpleNamespace(
        running=False, stop="stop", callLater=lambda seconds, what: calls.append((seconds, what))
    )
    line.master = SimpleNamespace(reactor=reactor)
    line.cut()
    assert calls == []
    reactor.running = True
    line.cut()
    # Not from within the transport's own call.
    assert calls == [(0, "stop")]
