"""The worker's connection: through TLS and the master's gate to Buildbot, all in this process.

Twisted's own TLS needs compiled extensions; this one needs the standard library's `ssl`.
"""

from __future__ import annotations

import gc
import socket
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, protocol
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python import log
from zope.interface import implementer

from minios_worker import wire
from minios_worker.problem import WorkerError
from minios_worker.tunnel import Tunnel

if TYPE_CHECKING:
    import ssl

    from minios_worker.home import Home

READ = 65536
SILENCE = 90
"""Seconds without an acknowledgement until the connection counts as lost: a cut of half a minute is none."""
_TCP_USER_TIMEOUT = 18  # linux/tcp.h; socket has no name for it before Python 3.6 on every system


@implementer(IStreamClientEndpoint)
class GateEndpoint:
    """Connects to the gate of the master that `home` is attached to.

    Stops the reactor, with the reason kept in `home`, when trying again cannot help.
    """

    def __init__(self, reactor: Any, home: Home) -> None:
        attachment = home.attachment()
        if attachment is None:
            raise WorkerError("this machine was never attached: run the bundle with --invite")
        self._reactor = reactor
        self._home = home
        self._to = attachment
        self._tunnel = Tunnel(home, attachment) if attachment.tunnel else None
        if self._tunnel:
            reactor.addSystemEventTrigger("after", "shutdown", self._tunnel.close)

    def connect(self, factory: Any) -> Any:
        """Connect; the Deferred has the factory's protocol once the gate has opened."""
        if self._tunnel:
            self._tunnel.ensure()
            host, port = self._tunnel.address
        else:
            host, port = self._to.host, self._to.port
        context = None if self._tunnel else wire.pinned(self._home.authority)
        done: Any = defer.Deferred()
        around: Any = _Around(factory, lambda: Link(self, context, factory, done))
        connecting = HostnameEndpoint(self._reactor, host, port).connect(around)
        connecting.addErrback(lambda failure: None if done.called else done.errback(failure))
        done.addErrback(self._judge)
        return done

    def hello(self) -> bytes:
        """What the gate wants to hear first."""
        return wire.encode({"do": "attach", "name": self._to.name, "password": self._to.password})

    def opened(self) -> None:
        """The gate has opened."""
        self._home.tell_connected(connected=True)

    def closed(self) -> None:
        """The connection that the gate had opened for is gone."""
        self._home.tell_connected(connected=False)

    def _judge(self, failure: Any) -> Any:
        problem = failure.value
        log.msg(f"not attached: {problem}")
        if isinstance(problem, WorkerError) and problem.final:
            self._home.tell_why(str(problem))
            self._reactor.callLater(0, self._reactor.stop)
        return failure


class _Around(protocol.Factory):
    """Makes links, and lets Buildbot's factory start and stop with them."""

    noisy = False

    def __init__(self, factory: Any, make: Any) -> None:
        self._factory = factory
        self._make = make

    def doStart(self) -> None:
        """A connection begins."""
        self._factory.doStart()

    def doStop(self) -> None:
        """A connection has ended."""
        self._factory.doStop()

    def buildProtocol(self, _address: Any) -> Link:
        """A link."""
        made: Link = self._make()
        return made


class Link(protocol.Protocol):
    """Below Buildbot's protocol: TLS where there is a context, then a line each way, then its bytes."""

    transport: Any

    def __init__(
        self, endpoint: GateEndpoint, context: ssl.SSLContext | None, factory: Any, done: Any
    ) -> None:
        self._endpoint = endpoint
        self._context = context
        self._factory = factory
        self._done = done
        self._tls: Any = None
        self._shaken = context is None
        self._answer = b""
        self._inner: Any = None

    def connectionMade(self) -> None:
        """Begin."""
        handle = self.transport.getHandle()
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            handle.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, SILENCE * 1000)
        except OSError:
            log.msg("this kernel has no TCP_USER_TIMEOUT: a dead connection is noticed late")
        if self._context is None:
            self.write(self._endpoint.hello())
            return
        import ssl  # noqa: PLC0415  # a worker with a tunnel has none

        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_hostname=wire.SERVER_NAME)
        self._want_read = ssl.SSLWantReadError
        self._pump(b"")

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the network."""
        try:
            if self._tls is None:
                self._plain(data)
            else:
                self._pump(data)
        except WorkerError as problem:
            self._fail(problem)
        except OSError as error:
            wrong = wire.is_wrong_certificate(error)
            text = wire.WRONG_CERTIFICATE if wrong else f"the TLS connection broke: {error}"
            self._fail(WorkerError(text, final=wrong))

    def connectionLost(self, reason: Any = protocol.connectionDone) -> None:
        """The network is gone."""
        if self._inner is not None:
            self._endpoint.closed()
            self._inner.connectionLost(reason)
        else:
            self._fail(WorkerError("the master hung up", final=False))

    def write(self, data: bytes) -> None:
        """Bytes of Buildbot."""
        if self._tls is None:
            self.transport.write(data)
            return
        # The buffer behind it has no limit, so all is taken at once.
        self._tls.write(data)
        self._flush()

    def writeSequence(self, parts: Any) -> None:
        """Bytes of Buildbot, in pieces."""
        self.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        """What else a transport can do, this one leaves to the socket's."""
        return getattr(self.transport, name)

    def _pump(self, data: bytes) -> None:
        """Take in TLS records: shake hands, then pass on what they hold."""
        self._incoming.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                self.write(self._endpoint.hello())
            while True:
                more = self._tls.read(READ)
                if not more:
                    # The master has closed TLS, and waits for us to close the rest.
                    self.transport.loseConnection()
                    break
                self._plain(more)
        except self._want_read:
            pass
        finally:
            self._flush()

    def _flush(self) -> None:
        waiting = self._outgoing.read()
        if waiting:
            self.transport.write(waiting)

    def _plain(self, data: bytes) -> None:
        """The gate's answer first; what follows is Buildbot's."""
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._answer += data
        line, newline, rest = self._answer.partition(b"\n")
        if not newline:
            if len(line) > wire.LONGEST:
                raise WorkerError("what answers there is not a minios master", final=False)
            return
        wire.decode(line)
        self._endpoint.opened()
        self._inner = self._factory.buildProtocol(self.transport.getPeer())
        self._inner.makeConnection(self)
        if not self._done.called:
            self._done.callback(self._inner)
        # What was only needed to get here: a megabyte or two.
        gc.collect()
        if rest:
            self._inner.dataReceived(rest)

    def _fail(self, problem: WorkerError) -> None:
        if not self._done.called:
            self._done.errback(problem)
        self.transport.abortConnection()
