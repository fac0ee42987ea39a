"""Who was invited and who is attached: one file each, secrets as hashes only.

The master and the command line both write here, so a file is replaced at once, and read and
replaced under a lock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_master.local_worker_names import COORDINATOR, LOCAL_PREFIX
from minios_steps.core.errors import MiniosError

from .private import write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

UNATTACHED_SUFFIX = "-unattached"
"""How the names end that stand for a machine that is not there."""
# Of what Buildbot calls an identifier: one worker with another name, and no configuration is read any more.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_RESERVED = frozenset({"change", "debug", "status"})  # by Buildbot, for itself
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,128}")
_FACTS = ("uname", "kernel", "python", "cores")
_MAX_FACT = 64


class RefusedError(MiniosError):
    """A worker that may not come in; `final` when asking again cannot help.

    The text goes to the other side, so it tells nothing that this one does not know.
    """

    def __init__(self, what: str, *, final: bool = True) -> None:
        super().__init__(what)
        self.final = final


@dataclass(frozen=True)
class Member:
    """One remote worker.

    Args:
        name: of the worker.
        arch: the arch it is for.
        jobs: `make -j`; 0 takes its cores.
        created: when it was invited, ISO time.
        expires: when the invite ends, ISO time.
        invite: sha256 of the invite's secret, hexadecimal.
        password: sha256 of the worker's own password, hexadecimal; empty before it has one.
        attached: when the invite was exchanged, ISO time; empty before.
        revoked: when it was shut out, ISO time; empty when it was not.
        machine: what the worker said of itself: hearsay.
        cross_prefix: of its compiler, where that is not `gcc`; asked while the arch has no file.
    """

    name: str
    arch: str
    jobs: int
    created: str
    expires: str
    invite: str
    password: str = ""
    attached: str = ""
    revoked: str = ""
    machine: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cross_prefix: str = ""

    @property
    def may_work(self) -> bool:
        """Whether it has exchanged its invite and was not revoked."""
        return bool(self.password) and not self.revoked

    def is_expired(self, now: dt.datetime) -> bool:
        """Whether its invite is too old to be exchanged."""
        return now >= dt.datetime.fromisoformat(self.expires)

    def state(self, now: dt.datetime) -> str:
        """`invited`, `expired`, `attached` or `revoked`."""
        if self.revoked:
            return "revoked"
        if self.password:
            return "attached"
        return "expired" if self.is_expired(now) else "invited"


class Roster:
    """The remote workers of one master.

    Args:
        folder: where their files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def members(self) -> tuple[Member, ...]:
        """All of them, by name.

        Raises:
            MiniosError: a file is damaged.
        """
        return tuple(self._read(path) for path in sorted(self.folder.glob("*.json")))

    def find(self, name: str) -> Member:
        """One of them.

        Raises:
            MiniosError: there is none of this name.
        """
        path = self._path(name) if _NAME.fullmatch(name) else None
        if path is None or not path.exists():
            known = ", ".join(member.name for member in self.members()) or "none"
            raise MiniosError(f"no remote worker {name!r}: there are {known}")
        return self._read(path)

    def invite(
        self,
        name: str,
        arch: str,
        jobs: int,
        now: dt.datetime,
        lasts: dt.timedelta,
        *,
        cross_prefix: str = "",
    ) -> tuple[Member, str]:
        """Add a worker that is expected; returns it, and the secret of its invite, which is kept nowhere.

        A name whose worker was revoked, or never came in time, may be used again.

        Args:
            name: of the worker; empty takes the arch's name with the next free number.
            arch: the arch it is for.
            jobs: `make -j`; 0 takes its cores.
            now: the time.
            lasts: how long the invite is good.
            cross_prefix: of its cross compiler; empty where `gcc` compiles for the arch.

        Raises:
            MiniosError: the name is none, is the master's own, or is in use.
        """
        with self._locked():
            known = {member.name: member for member in self.members()}
            name = name or next(
                f"{arch}-{number}" for number in range(1, len(known) + 2) if f"{arch}-{number}" not in known
            )
            _check_name(name)
            if name in known and known[name].state(now) in ("attached", "invited"):
                raise MiniosError(
                    f"worker {name!r} is {known[name].state(now)}",
                    hint=f"choose another --name, or first: minios worker revoke {name}",
                )
            secret = secrets.token_urlsafe(32)
            expires = _iso(now + lasts)
            member = Member(name, arch, jobs, _iso(now), expires, _hash(secret), cross_prefix=cross_prefix)
            self._write(member)
        return member, secret

    def redeem(
        self, name: str, secret: str, password: str, machine: Mapping[str, Any], now: dt.datetime
    ) -> Member:
        """Exchange an invite: from now on the worker comes in with its own password.

        The same exchange with the same password may be repeated, for an answer that got lost.

        Raises:
            RefusedError: the invite is wrong, used by another, expired or revoked.
        """
        with self._locked():
            member = self._known(name)
            if member is None or not _same(secret, member.invite):
                raise RefusedError("the invite is not known here")
            if member.revoked:
                raise RefusedError("the invite was revoked")
            if member.password:
                if _same(password, member.password):
                    return member
                raise RefusedError("the invite was used already")
            if member.is_expired(now):
                raise RefusedError("the invite has expired: ask for a new one")
            if not _SECRET.fullmatch(password):
                raise RefusedError("the password is too short or holds strange characters")
            changed = dataclasses.replace(
                member, password=_hash(password), attached=_iso(now), machine=_facts(machine)
            )
            self._write(changed)
        return changed

    def admit(self, name: str, password: str) -> Member:
        """The worker that comes with its own password.

        Raises:
            RefusedError: it is not known, was revoked, or the password is another.
        """
        member = self._known(name)
        # The same words and work for an unknown name and a wrong password.
        if not _same(password, member.password if member else "") or member is None:
            raise RefusedError("name or password is wrong")
        if member.revoked:
            raise RefusedError("this worker was revoked")
        return member

    def revoke(self, name: str, now: dt.datetime) -> Member:
        """Shut a worker out; its invite is worth nothing either.

        Raises:
            MiniosError: there is none of this name.
        """
        with self._locked():
            changed = dataclasses.replace(self.find(name), revoked=_iso(now))
            self._write(changed)
        return changed

    def _known(self, name: str) -> Member | None:
        if not _NAME.fullmatch(name) or not self._path(name).exists():
            return None
        return self._read(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, path: Path) -> Member:
        try:
            return Member(**json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise MiniosError(
                f"{path} is damaged: {error}", hint="remove it, and invite that worker again"
            ) from error

    def _write(self, member: Member) -> None:
        told = json.dumps(dataclasses.asdict(member), indent=1)
        write_private(self._path(member.name), told.encode("utf-8"))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise MiniosError(
            f"{name[:80]!r} is not a name: a letter, then letters, digits, _ - and at most 50, all lower-case"
        )
    own = {COORDINATOR, *_RESERVED}
    if name in own or name.startswith(LOCAL_PREFIX) or name.endswith(UNATTACHED_SUFFIX):
        raise MiniosError(f"{name!r} is a name of the master's own")


def _facts(machine: Mapping[str, Any]) -> dict[str, str]:
    """What a worker says of itself, cut to size: it is shown to people."""
    told = {key: str(machine.get(key, ""))[:_MAX_FACT] for key in _FACTS}
    return {key: "".join(c if c.isprintable() else "?" for c in text) for key, text in told.items()}


def _hash(secret: str) -> str:
    # Secrets are 256 random bits, which no slow hash need protect.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _same(secret: str, hashed: str) -> bool:
    return hmac.compare_digest(_hash(secret), hashed)


def _iso(time: dt.datetime) -> str:
    return time.isoformat(timespec="seconds")
