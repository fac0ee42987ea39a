"""Who was invited and who is attached: one file each, secrets as hashes only.

The master and the command line both write here, so a file is replaced at once, and read and
replaced under a lock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import hmac
import json
import re
import secrets
from typing import TYPE_CHECKING, Any

from minios_steps.core.errors import MiniosError

from .member import Member, check_name, is_name, read_member
from .private import write_private

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping
    from pathlib import Path

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


class Roster:
    """The remote workers of one master.

    Args:
        folder: where their files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def members(self) -> tuple[Member, ...]:
        """All of them, by name; one whose file is damaged is none, and keeps nobody else from working."""
        return tuple(one for one in self._all() if isinstance(one, Member))

    def problems(self) -> tuple[str, ...]:
        """Each file that is damaged, as a line."""
        return tuple(str(one) for one in self._all() if isinstance(one, MiniosError))

    def find(self, name: str) -> Member:
        """One of them.

        Raises:
            MiniosError: there is none of this name, or its file is damaged.
        """
        path = self._path(name) if is_name(name) else None
        if path is None or not path.exists():
            known = ", ".join(member.name for member in self.members()) or "none"
            raise MiniosError(f"no remote worker {name!r}: there are {known}")
        return read_member(path)

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

        A name whose worker was revoked, or never came in time, or whose file is damaged, may be used again.

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
            taken = {path.stem for path in self.folder.glob("*.json")}
            numbered = (f"{arch}-{number}" for number in range(1, len(taken) + 2))
            name = name or next(one for one in numbered if one not in taken)
            check_name(name)
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
        if not is_name(name) or not self._path(name).exists():
            return None
        return read_member(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _all(self) -> Iterator[Member | MiniosError]:
        for path in sorted(self.folder.glob("*.json")):
            try:
                yield read_member(path)
            except MiniosError as error:
                yield error

    def _write(self, member: Member) -> None:
        told = json.dumps(dataclasses.asdict(member), indent=1)
        write_private(self._path(member.name), told.encode("utf-8"))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


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
