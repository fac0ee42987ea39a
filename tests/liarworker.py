"""A process that is a real Buildbot worker, but lies where the file `lie` in its folder says so.

Run as `python liarworker.py PORT NAME PASSWORD FOLDER`; PORT is the gate's for tunnels.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

from buildbot_worker import pb as worker_pb
from buildbot_worker.commands import transfer
from twisted.internet import defer, protocol, reactor
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python import log
from zope.interface import implementer

LIES = ("other-elf", "traversal", "endless-output", "swap", "vanish")
_RISCV = 243


def lie_of(folder: Path) -> str:
    """How it lies now."""
    path = folder / "lie"
    return path.read_text("utf-8").strip() if path.exists() else ""


class Link(protocol.Protocol):
    """Says hello to the gate; what follows is Buildbot's."""

    def __init__(self, hello: dict[str, str], factory: Any, done: Any) -> None:
        self.hello, self.buildbot, self.done = hello, factory, done
        self.line, self.inner = b"", None

    def connectionMade(self) -> None:  # noqa: N802
        assert self.transport
        self.transport.write(json.dumps(self.hello).encode() + b"\n")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.inner is not None:
            self.inner.dataReceived(data)
            return
        self.line += data
        answer, newline, rest = self.line.partition(b"\n")
        if not newline:
            return
        assert self.transport
        if not json.loads(answer)["ok"]:
            self.transport.loseConnection()
            return
        self.inner = self.buildbot.buildProtocol(None)
        self.inner.makeConnection(self.transport)
        self.done.callback(self.inner)
        if rest:
            self.inner.dataReceived(rest)

    def connectionLost(self, reason: Any = protocol.connectionDone) -> None:  # noqa: N802
        if self.inner is not None:
            self.inner.connectionLost(reason)
        elif not self.done.called:
            self.done.errback(reason)


@implementer(IStreamClientEndpoint)
class GateEndpoint:
    """Buildbot's way to the gate."""

    def __init__(self, port: int, hello: dict[str, str]) -> None:
        self.port, self.hello = port, hello

    def connect(self, factory: Any) -> Any:
        done: Any = defer.Deferred()
        links = protocol.Factory.forProtocol(lambda: Link(self.hello, factory, done))
        HostnameEndpoint(reactor, "127.0.0.1", self.port).connect(links).addErrback(
            lambda failure: None if done.called else done.errback(failure)
        )
        return done


def lie_in_transfers(folder: Path) -> None:
    """Put lies where the worker's own code would move the right file."""
    upload, download = transfer.WorkerFileUploadCommand, transfer.WorkerFileDownloadCommand
    start_upload, start_download = upload.start, download.start

    def lying_start(self: Any) -> Any:
        if self.path.endswith("install.tar"):
            _spoil(Path(self.path), lie_of(folder))
        return start_upload(self)

    def lying_download(self: Any) -> Any:
        ended = start_download(self)
        if self.path.endswith("layer.tar.gz") and lie_of(folder) == "swap":
            # What is tried here is then not what was sent.
            ended.addCallback(lambda result: Path(self.path).write_bytes(_layer()) and result)
        return ended

    upload.start, download.start = lying_start, lying_download


def lie_in_commands(folder: Path) -> None:
    """Put lies where the worker's own code would tell what a command printed, and that it has ended."""
    command, builder = worker_pb.ProtocolCommandPb, worker_pb.WorkerForBuilderPbLike
    send, complete = command.protocol_send_update_message, command.protocol_complete
    interrupt = builder.remote_interruptCommand
    held: list[Any] = []

    def lying_send(self: Any, message: Any) -> None:
        lie = lie_of(folder)
        if lie == "endless-output":
            _flood(self.command_ref, held)
        elif lie == "vanish":
            self.command_ref.broker.transport.abortConnection()
        else:
            send(self, message)

    def lying_complete(self: Any, failure: Any) -> Any:
        if lie_of(folder) != "endless-output":
            return complete(self, failure)
        held.append(defer.Deferred())
        return held[-1].addCallback(lambda _: complete(self, failure))

    def lying_interrupt(self: Any, *told: Any) -> Any:
        while held:
            held.pop().callback(None)
        return interrupt(self, *told)

    command.protocol_send_update_message, command.protocol_complete = lying_send, lying_complete
    builder.remote_interruptCommand = lying_interrupt
    worker_pb.backoffPolicy = lambda: lambda _attempt: 0.2


def _flood(command: Any, held: list[Any]) -> None:
    """Output until the command, whose end is held back, is interrupted."""
    sent = command.callRemote("update", [[{"stdout": "endless " * 70_000}, 0]])
    sent.addCallbacks(lambda _: held and _flood(command, held), lambda _: None)


def _spoil(path: Path, lie: str) -> None:
    """Change what was built."""
    if lie == "other-elf":
        data = bytearray(path.read_bytes())
        place = data.index(b"\x7fELF")
        data[place + 18] = _RISCV
        path.write_bytes(bytes(data))
    elif lie == "traversal":
        with tarfile.open(path, "w") as archive:
            for name in ("busybox", "../../../evil"):
                info = tarfile.TarInfo(name)
                info.size = 4
                archive.addfile(info, io.BytesIO(b"evil"))


def _layer() -> bytes:
    """A layer with a program that says what is wanted to hear: nothing."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("bin/busybox")
        info.mode, info.size = 0o755, len(b"#!/bin/sh\n")
        archive.addfile(info, io.BytesIO(b"#!/bin/sh\n"))
    return out.getvalue()


def main(port: str, name: str, password: str, folder: str) -> None:
    """Work until the process is killed."""
    log.startLogging(sys.stderr)
    lie_in_transfers(Path(folder))
    lie_in_commands(Path(folder))
    hello = {"do": "attach", "name": name, "password": password}
    worker_pb.clientFromString = lambda *_: GateEndpoint(int(port), hello)
    worker = worker_pb.Worker(None, None, name, "formality", folder, 0, connection_string="gate")
    # The gate knows who this is; Buildbot's own log-in is a formality.
    worker.startService()
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(*sys.argv[1:])
