"""A made-up master: canned REST answers on the loopback, in this process or as a child of the real start.

`play()` is what the child runs in Buildbot's place; the environment's `STUB` tells how it behaves.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHILD = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    "from masterbed import play; sys.exit(play(sys.argv[1:]))"
)
"""What to put in the place of `embedded._BUILDBOT`."""
BRID = 7
BUILD = 100
SUCCESS, FAILURE, SKIPPED, CANCELLED = 0, 2, 3, 6
VERSION = "1.38.0"
DIGEST = "sha256:" + "d" * 64
LATE = 5.0
_STDERR = 2


class FakeMaster(ThreadingHTTPServer):
    """`answers` are by path below `/api/v2/`; `controls` has what was asked to be done.

    `replies` by method are results, or errors under the key `error`; bytes are sent as they are.
    The first `drop` requests get no answer at all.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers: dict[str, Any] = {}
        self.replies: dict[str, Any] = {}
        self.controls: list[tuple[str, str, dict[str, Any]]] = []
        self.seen: list[str] = []
        self.drop = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, *_: Any) -> None:
        """Quiet: a client that goes away in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeMaster

    def do_GET(self) -> None:
        if self._dropped():
            return
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api/v2/")
        self.server.seen.append(path)
        answer = self.server.answers.get(path, 404)
        if callable(answer):
            answer = answer({name: values[0] for name, values in parse_qs(parts.query).items()})
        self._send(answer)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._dropped():
            return
        path = urlsplit(self.path).path.removeprefix("/api/v2/")
        self.server.controls.append((path, body["method"], body["params"]))
        reply = self.server.replies.get(body["method"])
        if callable(reply):
            reply = reply()
        if isinstance(reply, dict) and "error" in reply:
            self._send(reply, 400)
        else:
            self._send(reply if isinstance(reply, bytes) else {"jsonrpc": "2.0", "id": 1, "result": reply})

    def _dropped(self) -> bool:
        self.server.drop -= 1
        return self.server.drop >= 0

    def _send(self, answer: Any, status: int = 200) -> None:
        if isinstance(answer, int):
            status, answer = answer, {"error": "invalid path"}
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def fake_master(*, serving: bool = True) -> Iterator[FakeMaster]:
    """A fake master in a thread; with a matrix build that has ended well."""
    with FakeMaster() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        fill(server)
        if serving:
            thread.start()
        try:
            yield server
        finally:
            if serving:
                server.shutdown()
                thread.join()


def worker(name: str, *, connected: bool = True, configured: bool = True) -> dict[str, Any]:
    here = [{"masterid": 1}]
    return {
        "name": name,
        "configured_on": here if configured else [],
        "connected_to": here if connected else [],
    }


def step(name: str, results: int | None = SUCCESS, **more: Any) -> dict[str, Any]:
    """A step; `results=None` is one that runs."""
    told = {"name": name, "started_at": 10, "hidden": False, "state_string": f"{name} text"}
    return {**told, "complete": results is not None, "results": results, **more}


def build(buildid: int, results: int | None = SUCCESS, **more: Any) -> dict[str, Any]:
    """A build; `results=None` is one that runs."""
    told: dict[str, Any] = {"buildid": buildid, "builderid": 1, "number": buildid, "started_at": 10}
    ended = results is not None
    told |= {"complete": ended, "complete_at": 52 if ended else None, "state_string": "build text"}
    return {**told, "results": results, **more}


def cell(arch: str, outcome: str = "published", **more: Any) -> dict[str, Any]:
    """A `CellResult` in JSON form."""
    good = outcome in ("published", "reused", "built")
    return {
        "arch": arch,
        "version": VERSION,
        "variant": "static",
        "outcome": outcome,
        "reason": "" if good else "because",
        "digest": DIGEST if good else "",
        "size": 1_230_000 if good else 0,
        "seconds": 42.0 if good else 0.0,
        "key": "",
        "attach": "",
        "descriptor": None,
        **more,
    }


def release(outcome: str = "released", **more: Any) -> dict[str, Any]:
    """A `ReleaseReport` in JSON form."""
    return {
        "version": VERSION,
        "variant": "static",
        "outcome": outcome,
        "tags": [VERSION, "latest"],
        "index": DIGEST,
        "reasons": [],
        "left_out": {},
        "carried": [],
        **more,
    }


def properties(**values: Any) -> dict[str, Any]:
    return {"properties": [{name: [value, "test"] for name, value in values.items()}]}


def fill(master: FakeMaster) -> None:
    """A matrix of one arch that is built well as soon as it is asked for."""
    cells = [cell("x86_64")]
    master.answers = {
        "forceschedulers": {"forceschedulers": [{"name": "matrix"}]},
        "workers": {"workers": [worker("coordinator"), worker("local-x86_64"), worker("sw64-unattached")]},
        "builders": {"builders": [{"builderid": 1, "name": "x86_64"}, {"builderid": 2, "name": "matrix"}]},
        "buildrequests": {"buildrequests": []},
        f"buildrequests/{BRID}": {"buildrequests": [{"complete": True}]},
        f"buildrequests/{BRID}/builds": {"builds": [build(BUILD, builderid=2)]},
        "builds": {"builds": []},
        f"builds/{BUILD}": {"builds": [build(BUILD, builderid=2)]},
        f"builds/{BUILD}/steps": {"steps": [step("matrix", state_string="1 of 1 cells good")]},
        f"builds/{BUILD}/properties": properties(cells=cells, releases=[release()]),
        f"builds/{BUILD}/triggered_builds": {"builds": [build(1)]},
        "builds/1/steps": {"steps": [step("probe"), step("compile")]},
        "builds/1/properties": properties(version=VERSION, variant="static"),
    }
    master.replies = {"force": [1, {"2": BRID}]}


def running(master: FakeMaster) -> None:
    """The same matrix, in the middle."""
    master.answers[f"builds/{BUILD}"] = {"builds": [build(BUILD, None, builderid=2)]}
    master.answers[f"buildrequests/{BRID}"] = {"buildrequests": [{"complete": False}]}
    master.answers[f"builds/{BUILD}/triggered_builds"] = {"builds": [build(1, None)]}
    master.answers["builds/1/steps"] = {"steps": [step("probe"), step("compile", None)]}


def play(words: list[str]) -> int:
    """What the child does: `upgrade-master` makes a database, `start` serves until it is stopped."""
    how = os.environ.get("STUB", "")
    if words[0] == "upgrade-master":
        Path(words[-1], "state.sqlite").touch()
        with Path(words[-1], "upgrades").open("a", encoding="utf-8") as stream:
            stream.write("once\n")
        return 0
    if how == "dies":
        sys.stderr.write("some line\nbuildbot.SomeError: the reason\nlast line\n")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT) if how == "deaf" else ():
        signal.signal(number, signal.SIG_IGN)
    if os.environ["MINIOS_LIFELINE"] and how != "deaf":
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    with FakeMaster(int(os.environ["MINIOS_WEB_PORT"])) as server:
        fill(server)
        _behave(server, how)
        server.serve_forever(0.01)
    return 0


def _behave(server: FakeMaster, how: str) -> None:
    if how == "slow":
        server.answers["workers"] = {"workers": [worker("coordinator", connected=False)]}
    elif how in ("running", "killed"):
        running(server)
        if how == "killed":
            server.answers[f"builds/{BUILD}"] = _kill_itself
    elif how in ("building", "hoarding"):
        # A worker's command has a process group of its own, and nothing but the three streams.
        for path in () if how == "hoarding" else Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                os.set_inheritable(int(path.name), int(path.name) <= _STDERR)
        child = os.posix_spawnp("sleep", ["sleep", "60"], dict(os.environ), setpgroup=0)
        server.answers["child"] = {"pid": child}


def _kill_itself(_query: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


def wait_for(condition: Callable[[], Any], seconds: float = LATE) -> None:
    """Wait for another process, without a fixed pause."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)
