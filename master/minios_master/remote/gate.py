"""The gate: where workers of other machines come in.

One port with TLS, and one without that only this machine reaches, for the near ends of
tunnels. A worker says who it is in one line; when it may come in, the connection is given to
Buildbot's Perspective Broker without another login and without another socket. Buildbot's own
port stays on loopback, with passwords that nobody is told.
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any

from buildbot.util.service import BuildbotService
from OpenSSL import SSL
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernameHashedPassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet import defer, endpoints, protocol, ssl
from twisted.python import log
from twisted.spread import pb
from zope.interface import implementer

from minios_steps.core.errors import MiniosError

from .authority import Authority, load_authority
from .broker import Bounds, WorkerBroker
from .folders import LOOPBACK, RemoteFolder
from .gate_protocol import GateProtocol
from .roster import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

BUILDBOT_PORT = f"tcp:0:interface={LOOPBACK}"
"""Buildbot's own port string, by which it keeps the workers that may come."""
_STRANGERS = 100
"""How many connections may be there that have not yet said who they are."""
_CONNECTIONS = 4
"""How many a worker may have: its own, and some that are not known to be dead yet."""


@implementer(ICredentialsChecker)
class _Known:
    """Whoever the gate let in is logged in, under that name only."""

    credentialInterfaces = (IUsernameHashedPassword,)

    def __init__(self, name: str) -> None:
        self._name = name.encode("ascii")

    def requestAvatarId(self, credentials: Any) -> Any:
        """The name, when it is the right one."""
        if credentials.username == self._name:
            return defer.succeed(self._name)
        return defer.fail(UnauthorizedLogin())


class Gate(BuildbotService):  # type: ignore[misc]
    """The gate of one master.

    Args:
        interface: the address to listen at with TLS.
        port: its TLS port; 0 takes the one that is kept in `folder`.
        folder: where the roster and the keys are.
        bounds: what a worker may do once it is in, and how long it may be silent.

    A reconfiguration that changes none of these leaves it alone.
    """

    name = "gate"

    def __init__(self, interface: str, port: int, folder: Path, bounds: Bounds | None = None) -> None:
        super().__init__(interface=interface, port=port, folder=folder, bounds=bounds or Bounds())
        self._strangers: set[GateProtocol] = set()
        self._brokers: dict[str, int] = {}
        self._listening: list[Any] = []

    def reconfigService(self, interface: str, port: int, folder: Path, bounds: Bounds) -> Any:
        """Listen at the configured places; the Deferred fires when that is so."""
        self._bounds = bounds
        # Buildbot does not await what it gets here, it wants a Deferred.
        return defer.ensureDeferred(self._open(interface, port, RemoteFolder(folder)))

    async def _open(self, interface: str, port: int, folder: RemoteFolder) -> None:
        self._folder = folder
        self._authority = load_authority(folder.keys)
        ports = folder.ports(interface, port)
        await self._close()
        factory = protocol.Factory.forProtocol(lambda: GateProtocol(self))
        secure: Any = endpoints.SSL4ServerEndpoint  # Twisted's own are not typed
        plain: Any = endpoints.TCP4ServerEndpoint
        for endpoint in (
            secure(self.reactor, ports.tls, _tls(self._authority), interface=interface),
            plain(self.reactor, ports.plain, interface=LOOPBACK),
        ):
            self._listening.append(await endpoint.listen(factory))
        log.msg(f"gate: listens on {interface}:{ports.tls}, and for tunnels on {LOOPBACK}:{ports.plain}")

    async def stopService(self) -> None:
        """Stop listening."""
        await self._close()
        await super().stopService()

    @property
    def reactor(self) -> Any:
        """The master's reactor."""
        return self.master.reactor

    def has_room(self, stranger: GateProtocol) -> bool:
        """Whether one more connection may wait to say who it is; if so it is counted."""
        if len(self._strangers) >= _STRANGERS:
            return False
        self._strangers.add(stranger)
        return True

    def forget(self, stranger: GateProtocol) -> None:
        """It is gone, or known now."""
        self._strangers.discard(stranger)

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a request gets beside `ok`.

        Raises:
            RefusedError: the other side may not have what it asks for.
            MiniosError: the roster cannot be read or written.
        """
        if request["do"] == "authority":
            return {"authority": self._authority.pem}
        roster = self._folder.roster
        if request["do"] == "redeem":
            machine = request.get("machine")
            member = roster.redeem(
                request["name"],
                request["secret"],
                request["password"],
                machine if isinstance(machine, dict) else {},
                dt.datetime.now(dt.timezone.utc),
            )
            log.msg(f"gate: {member.name} exchanged its invite")
            # Buildbot learns of it without a restart; what is being built goes on.
            await self.master.reconfig()
            return {}
        member = roster.admit(request["name"], request["password"])
        if member.name not in self._users():
            raise RefusedError("the master is not ready for this worker yet", final=False)
        if self._brokers.get(member.name, 0) >= _CONNECTIONS:
            raise RefusedError("this worker has too many connections", final=False)
        return {}

    def broker(self, name: str, peer: Any) -> pb.Broker:
        """Buildbot's side of a connection of the worker `name`."""
        dispatcher = self.master.pbmanager.dispatchers[BUILDBOT_PORT]
        portal = Portal(dispatcher, [_Known(name)])  # type: ignore[list-item]
        factory = pb.PBServerFactory(portal)  # type: ignore[no-untyped-call]
        worker = partial(self._worker, name)
        broker: Any = partial(WorkerBroker, name, self._bounds, worker, self.reactor)
        factory.protocol = broker
        made = factory.buildProtocol(peer)  # type: ignore[no-untyped-call]
        self._brokers[name] = self._brokers.get(name, 0) + 1
        made.notifyOnDisconnect(partial(self._gone, name))
        return made  # type: ignore[no-any-return]

    def _worker(self, name: str) -> Any:
        return self.master.workers.workers.get(name)

    def _gone(self, name: str) -> None:
        self._brokers[name] -= 1
        if not self._brokers[name]:
            del self._brokers[name]

    def _users(self) -> Any:
        dispatcher = self.master.pbmanager.dispatchers.get(BUILDBOT_PORT)
        return dispatcher.users if dispatcher else ()

    async def _close(self) -> None:
        listening, self._listening = self._listening, []
        for port in listening:
            await defer.maybeDeferred(port.stopListening)


def _tls(authority: Authority) -> Any:
    """What the TLS port shows: the gate's certificate, TLS 1.2 at least."""
    try:
        pem = authority.gate.read_bytes()
        key = ssl.PrivateCertificate.loadPEM(pem)  # type: ignore[no-untyped-call]
    except (OSError, SSL.Error) as error:
        raise MiniosError(f"{authority.gate} cannot be read: {error}") from error
    return ssl.CertificateOptions(
        privateKey=key.privateKey.original,
        certificate=key.original,
        raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
    )
