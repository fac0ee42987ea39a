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

LIES = ("other-elf", "traversal", "endless-file", "endless-output", "swap")
_RISCV = 243
_BLOCK = 1 << 19


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


def install(folder: Path) -> None:
    """Put the lies where the worker's own code would tell the truth."""
    upload, download = transfer.WorkerFileUploadCommand, transfer.WorkerFileDownloadCommand
    start_upload, start_download, write = upload.start, download.start, upload._writeBlock
    send = worker_pb.ProtocolCommandPb.protocol_send_update_message

    def lying_start(self: Any) -> Any:
        if self.path.endswith("install.tar"):
            _spoil(Path(self.path), lie_of(folder))
        return start_upload(self)

    def lying_write(self: Any) -> Any:
        if lie_of(folder) == "endless-file" and self.path.endswith("install.tar"):
            return self.writer.callRemote("write", bytes(_BLOCK)).addCallback(lambda _: False)
        return write(self)

    def lying_download(self: Any) -> Any:
        ended = start_download(self)
        if self.path.endswith("layer.tar.gz") and lie_of(folder) == "swap":
            # What is tried here is then not what was sent.
            ended.addCallback(lambda result: Path(self.path).write_bytes(_layer()) and result)
        return ended

    def lying_send(self: Any, message: Any) -> None:
        if lie_of(folder) == "endless-output":
            _flood(self.command_ref)
        else:
            send(self, message)

    upload.start, upload._writeBlock, download.start = lying_start, lying_write, lying_download
    worker_pb.ProtocolCommandPb.protocol_send_update_message = lying_send
    worker_pb.backoffPolicy = lambda: lambda _attempt: 0.2


def _flood(command: Any) -> None:
    """Output without an end."""
    sent = command.callRemote("update", [[{"stdout": "endless " * 70_000}, 0]])
    sent.addCallbacks(lambda _: _flood(command), lambda _: None)


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
    install(Path(folder))
    hello = {"do": "attach", "name": name, "password": password}
    worker_pb.clientFromString = lambda *_: GateEndpoint(int(port), hello)
    worker = worker_pb.Worker(None, None, name, "formality", folder, 0, connection_string="gate")
    # The gate knows who this is; Buildbot's own log-in is a formality.
    worker.startService()
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(*sys.argv[1:])
