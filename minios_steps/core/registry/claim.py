"""The claim on a repository: two masters do not move tags at the same time.

Registries know no compare-and-swap. A claim is a small artifact under a tag of its own that
says who moves tags now, and until when. Whoever wants it reads it, writes their own over it,
waits, and reads it again: of several who wrote, the last one has it, and the others see that.
It holds as long as everyone's write is done within the waiting time after their read; who
takes longer begins again. It guards against other masters of this project only: what other
programs do to the tags is found by looking at each tag right before it is moved.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never, pause
from minios_steps.core.digest import Digest
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci import media
from minios_steps.core.oci.artifact import EMPTY, Part
from minios_steps.core.oci.model import SCHEMA, RawManifest, encode
from minios_steps.core.oci.tag import OWN
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from minios_steps.core.registry.store import RegistryStore

CLAIM_TAG = f"{OWN}claim"
CLAIM_TYPE = "application/vnd.minios.claim.v1+json"
SETTLE_SECONDS = 2.0
LEASE_SECONDS = 120.0
_RENEW_SECONDS = 60.0
_TRIES = 3
_KEY = "org.minios.claim."
_NOT_FOUND = 404


class ClaimedError(MiniosError):
    """Somebody else moves the tags of this repository now."""


@dataclass(frozen=True)
class Holder:
    """Who claims: `id` is the same after a restart, `name` is for people."""

    id: str
    name: str


@dataclass(frozen=True)
class Times:
    """Seconds.

    Args:
        settle: how long to wait before a claim is believed.
        within: how long reading and writing it may take; not more than `settle` where there
            may be others.
        lease: how long it lasts.
    """

    settle: float = SETTLE_SECONDS
    within: float = SETTLE_SECONDS
    lease: float = LEASE_SECONDS


DEFAULT_TIMES = Times()


@dataclass(frozen=True)
class _Note:
    """What a claim says; times are seconds since 1970 by its writer's clock."""

    holder: Holder
    since: float
    until: float
    nonce: str

    def raw(self) -> bytes:
        told = {
            "id": self.holder.id,
            "name": self.holder.name,
            "since": f"{self.since:.3f}",
            "until": f"{self.until:.3f}",
            "nonce": self.nonce,
        }
        empty = Part(media.EMPTY, EMPTY).descriptor.as_json()
        return encode(
            {
                "schemaVersion": SCHEMA,
                "mediaType": media.MANIFEST,
                "artifactType": CLAIM_TYPE,
                "config": empty,
                "layers": [empty],
                "annotations": {_KEY + key: value for key, value in told.items()},
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> _Note | None:
        """What a claim says; None of what is no claim."""
        try:
            told = RawManifest.parse(raw).annotations
            return cls(
                Holder(told[_KEY + "id"], told[_KEY + "name"]),
                float(told[_KEY + "since"]),
                float(told[_KEY + "until"]),
                told[_KEY + "nonce"],
            )
        except (MiniosError, KeyError, ValueError):
            return None


class Claim:
    """A claim that is held.

    Args:
        store: the repository.
        holder: whose it is.
        times: see `Times`.
        cancelled: asked while waiting.
    """

    def __init__(
        self, store: RegistryStore, holder: Holder, times: Times, cancelled: Callable[[], bool] = never
    ) -> None:
        self._repository = store.repository
        self._where = store.name
        self._holder = holder
        self._times = times
        self._cancelled = cancelled
        self._nonce = secrets.token_hex(16)
        self._since = 0.0
        self._until = 0.0

    def take(self) -> None:
        """Get it, over one that has expired or that the same holder left behind.

        Raises:
            ClaimedError: somebody else has it, or came in between.
            RegistryError: the registry refuses or stays away.
            CancelledError: cancelled.
        """
        took = 0.0
        for _ in range(_TRIES):
            began = time.monotonic()
            found = self._read()
            if found and found.holder.id != self._holder.id and found.until > time.time():
                raise self._taken(found)
            self._since = time.time()
            self._write(self._since + self._times.lease)
            took = time.monotonic() - began
            if took <= self._times.within:
                pause(self._times.settle, self._cancelled)
                self.check()
                return
        raise ClaimedError(
            f"{self._where}: the registry took {took:.1f} s to note who moves the tags,"
            f" {self._times.within:.1f} are allowed",
            hint="run it again when the registry is faster",
        )

    def check(self) -> None:
        """Make sure that it is still held; makes it last longer when it would end soon.

        Raises:
            ClaimedError: it is not.
        """
        found = self._read()
        if found is None or found.nonce != self._nonce or found.until <= time.time():
            raise self._taken(found)
        if self._until - time.time() < min(_RENEW_SECONDS, self._times.lease / 2):
            self._write(time.time() + self._times.lease)

    def release(self) -> None:
        """Give it back; a registry may not delete tags, so what stays says that it has ended."""
        found = self._read()
        if found and found.nonce == self._nonce:
            self._write(time.time())

    def _read(self) -> _Note | None:
        try:
            return _Note.parse(self._repository.get_manifest(CLAIM_TAG).raw)
        except RegistryError as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    def _write(self, until: float) -> None:
        self._repository.upload_blob(EMPTY, Digest.of(EMPTY))
        note = _Note(self._holder, self._since, until, self._nonce)
        self._repository.put_manifest(CLAIM_TAG, note.raw(), media.MANIFEST)
        self._until = until

    def _taken(self, found: _Note | None) -> ClaimedError:
        if found is None or found.nonce == self._nonce:
            return ClaimedError(f"{self._where}: the claim to move its tags was lost", hint="run it again")
        return ClaimedError(
            f"{self._where}: {found.holder.name} moves its tags, since {_clock(found.since)},"
            f" until {_clock(found.until)} at the latest",
            hint="run it again then",
        )


@contextmanager
def claimed(
    store: RegistryStore, holder: Holder, times: Times, cancelled: Callable[[], bool] = never
) -> Iterator[Claim]:
    """Hold the claim on a repository while the block runs; see `Claim.take` for errors."""
    claim = Claim(store, holder, times, cancelled)
    claim.take()
    try:
        yield claim
    finally:
        # What is not given back ends by itself.
        with suppress(MiniosError):
            claim.release()


def _clock(seconds: float) -> str:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
