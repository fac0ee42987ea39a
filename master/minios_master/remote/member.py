"""One remote worker, as a file of the roster has it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from minios_master.local_worker_names import COORDINATOR, LOCAL_PREFIX
from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from pathlib import Path

UNATTACHED_SUFFIX = "-unattached"
"""How the names end that stand for a machine that is not there."""

# Of what Buildbot calls an identifier: one worker with another name, and no configuration is read any more.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_RESERVED = frozenset({"change", "debug", "status"})  # by Buildbot, for itself
_SHOWN = 80


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
    machine: dict[str, str] = dataclasses.field(default_factory=dict)
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


_ADAPTER = TypeAdapter(Member)


def is_name(name: str) -> bool:
    """Whether a worker could be called so."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Refuse with a `MiniosError` what no new worker may be called."""
    if not is_name(name):
        raise MiniosError(
            f"{name[:_SHOWN]!r} is not a name: a letter, then letters, digits, _ - and at most 50, all"
            " lower-case"
        )
    own = {COORDINATOR, *_RESERVED}
    if name in own or name.startswith(LOCAL_PREFIX) or name.endswith(UNATTACHED_SUFFIX):
        raise MiniosError(f"{name!r} is a name of the master's own")


def read_member(path: Path) -> Member:
    """The worker that a file is of.

    Raises:
        MiniosError: the file is damaged.
    """
    try:
        member = _ADAPTER.validate_json(path.read_bytes())
        _check(member, path.stem)
    except ValueError as error:
        raise MiniosError(
            f"{path} is damaged: {_first_line(error)}", hint="remove it, and invite that worker again"
        ) from error
    return member


def _check(member: Member, name: str) -> None:
    """Raise ValueError for what no invite has written."""
    # Buildbot takes no configuration with two workers of one name.
    if member.name != name or not is_name(name):
        raise ValueError(f"it names the worker {member.name[:_SHOWN]!r}")
    if dt.datetime.fromisoformat(member.expires).tzinfo is None:
        raise ValueError("expires: the time has no zone")


def _first_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        [first, *_] = error.errors(include_url=False, include_context=False, include_input=False)
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    return str(error)
