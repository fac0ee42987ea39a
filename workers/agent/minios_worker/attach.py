"""The first contact: an invite becomes this worker's own password, and `buildbot.tac` is written."""

from __future__ import annotations

import hashlib
import platform
import secrets
from typing import TYPE_CHECKING

from minios_worker import machine, wire
from minios_worker.home import Attachment, write_private
from minios_worker.problem import WorkerError
from minios_worker.tunnel import Tunnel

if TYPE_CHECKING:
    from minios_worker.home import Home
    from minios_worker.invite import Invite

_TAC = '''"""Written by minios-worker: starts buildbot-worker, and says where its log goes."""

from buildbot_worker.bot import Worker
from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument
from twisted.python.log import FileLogObserver, ILogObserver
from twisted.python.logfile import LogFile

HOME = {home!r}

application = service.Application("buildbot-worker")
log = LogFile.fromFullPath(HOME + "/work/twistd.log", rotateLength=2_000_000, maxRotatedFiles=3)
application.setComponent(ILogObserver, FileLogObserver(log).emit)
worker = Worker(
    None,
    None,
    {name!r},
    # The master's gate asked for the real one before this is reached.
    "checked-by-the-gate",
    HOME + "/work",
    keepalive=60,
    umask=0o022,
    connection_string="minios:" + quoteStringArgument(HOME),
    delete_leftover_dirs=True,
)
worker.setServiceParent(application)
'''


def attach(home: Home, invite: Invite, tunnel: str) -> bool:
    """Exchange the invite; returns whether this machine has done so with the same one before.

    The password is made here and kept before the master hears it, so that an answer that gets
    lost does no harm: asking again with the same one is allowed. A worker that is here already
    stays what it is until the master has agreed.

    Raises:
        WorkerError: the master cannot be reached, is another one, or refuses the invite.
    """
    if not tunnel and not wire.has_tls():
        raise WorkerError("this Python has no ssl module: add --tunnel ssh:[USER@]HOST or --tunnel stunnel")
    known = home.attachment()
    same = [one for one in (home.expected(), known) if one and one.name == invite.name]
    password = same[0].password if same else secrets.token_urlsafe(32)
    made = Attachment(
        host=invite.host,
        port=invite.port,
        tunnel_port=invite.tunnel_port,
        fingerprint=invite.fingerprint,
        name=invite.name,
        password=password,
        tunnel=tunnel,
        invite=hashlib.sha256(invite.secret.encode("ascii")).hexdigest(),
    )
    home.expect(made)
    authority = home.authority.read_text("utf-8") if known and home.authority.exists() else ""
    try:
        _exchange(home, made, invite)
    except WorkerError as problem:
        if problem.final:
            home.forget_expected()
        if authority:
            write_private(home.authority, authority)
        raise
    home.tell_why("")
    home.write_base(
        {
            "buildbot.tac": _TAC.format(home=str(home.folder), name=invite.name),
            "info/host": f"{platform.machine()}, Python {platform.python_version()}\n",
            "info/admin": "see the invite\n",
        }
    )
    home.keep(made)
    return known is not None and (known.name, known.invite) == (made.name, made.invite)


def _exchange(home: Home, made: Attachment, invite: Invite) -> None:
    """Ask the master for it, when it is the master of the invite."""
    request: dict[str, object] = {
        "do": "redeem",
        "name": invite.name,
        "secret": invite.secret,
        "password": made.password,
        "machine": machine.facts(),
    }
    if made.tunnel:
        _through(Tunnel(home, made), home, made, request)
    else:
        address = (invite.host, invite.port)
        _learn_authority(home, invite.fingerprint, wire.ask(address, {"do": "authority"}, wire.unpinned()))
        wire.ask(address, request, wire.pinned(home.authority))


def _through(tunnel: Tunnel, home: Home, made: Attachment, request: dict[str, object]) -> None:
    if tunnel.checks:
        with tunnel.trusting():
            answer = wire.ask(tunnel.address, {"do": "authority"}, None)
        _learn_authority(home, made.fingerprint, answer)
    try:
        tunnel.open()
        wire.ask(tunnel.address, request, None)
    finally:
        tunnel.close()


def _learn_authority(home: Home, fingerprint: str, answer: dict[str, object]) -> None:
    """Keep the authority's certificate when it is the invite's."""
    pem = str(answer.get("authority", ""))
    wire.check_authority(pem, fingerprint)
    write_private(home.authority, pem)
