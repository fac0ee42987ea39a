"""One look at upstream: which releases are new and good, which are bad, which are not whole yet."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from minios_steps.core.cancel import CancelledError
from minios_steps.core.config.upstream import GitWatch
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.storage import StorageError
from minios_steps.core.upstream.gittags import list_tags
from minios_steps.core.upstream.listing import parse_listing
from minios_steps.core.upstream.memory import Backoff, Memory, without
from minios_steps.core.upstream.news import news
from minios_steps.core.upstream.release_files import BadReleaseError, NotYetError
from minios_steps.core.web.url import host_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from minios_steps.core.config.upstream import Upstream, Watch
    from minios_steps.core.upstream.release_files import Client, VerifiedRelease
    from minios_steps.core.version import Version

PAGE_LIMIT = 4 << 20
"""Bytes a listing may have."""


@dataclass(frozen=True)
class BadRelease:
    """A release that must not be built.

    Args:
        version: the release.
        place: whose copy it is, without what may be secret in a URL.
        reason: what is wrong with it.
    """

    version: Version
    place: str
    reason: str


@dataclass(frozen=True)
class Look:
    """What one look found.

    Args:
        memory: what to remember; the good releases are not announced in it yet.
        good: releases to announce, oldest first.
        bad: copies to tell of, which were not told before.
    """

    memory: Memory
    good: tuple[VerifiedRelease, ...]
    bad: tuple[BadRelease, ...]


class UpstreamWatch:
    """Asks every configured place.

    Args:
        upstream: the places, and what counts.
        pinned: the releases that are known already.
        client: fetches and verifies.
    """

    def __init__(self, upstream: Upstream, pinned: Collection[Version], client: Client) -> None:
        self._upstream = upstream
        self._pinned = pinned
        self._client = client

    def look(self, memory: Memory, now: float) -> Look:
        """Look once; blocks, call it from a thread.

        A place that cannot be asked is left alone for longer and longer; the others are asked
        all the same. Of a line of releases the newest good one counts, of a release the first good
        copy.

        Args:
            memory: what the last look gave.
            now: seconds since 1970.

        Raises:
            StorageError: this machine's disk is full, or refuses to be written.
            CancelledError: cancelled.
        """
        there: dict[Version, list[Watch]] = {}
        for watch in self._upstream.watch:
            versions, memory = self._ask(watch, memory, now)
            for version in versions:
                there.setdefault(version, []).append(watch)
        good: list[VerifiedRelease] = []
        bad: list[BadRelease] = []
        for line in news(there, self._pinned, stable_only=self._upstream.accept == "stable"):
            for version in line:
                if str(version) in memory.announced:
                    break
                found, told, memory = self._examine(version, there[version], memory, now)
                good += found
                bad += told
                # One that is bad, or not whole, must not hide the one before it.
                if found:
                    break
        return Look(memory, tuple(good), tuple(bad))

    def _ask(self, watch: Watch, memory: Memory, now: float) -> tuple[tuple[Version, ...], Memory]:
        """The versions that a place has; none when it is to be left alone, or cannot be asked."""
        name = _name(watch)
        before = memory.places.get(name)
        if before and before.holds(now):
            return (), memory
        try:
            versions = self._versions(watch)
        except (StorageError, CancelledError):
            raise
        except SourceError as error:
            self._client.report(f"{name}: {error}")
            failed = Backoff.after(before, now, self._upstream.interval, error.what)
            return (), dataclasses.replace(memory, places={**memory.places, name: failed})
        if not versions and name in memory.seen:
            self._client.report(f"{name}: lists no release any more; the newest was {memory.seen[name]}")
        seen = {**memory.seen, name: str(max(versions))} if versions else memory.seen
        return versions, dataclasses.replace(memory, places=without(memory.places, name), seen=seen)

    def _versions(self, watch: Watch) -> tuple[Version, ...]:
        client = self._client
        if isinstance(watch, GitWatch):
            with TemporaryDirectory(prefix="minios-git-") as folder:
                return list_tags(
                    watch.repository, insecure=watch.insecure, folder=Path(folder), cancelled=client.cancelled
                )
        page = client.read(watch.url, insecure=watch.insecure, limit=PAGE_LIMIT)
        return tuple(parse_listing(page.decode("utf-8", "replace"), watch.url))

    def _examine(
        self, version: Version, watches: list[Watch], memory: Memory, now: float
    ) -> tuple[list[VerifiedRelease], list[BadRelease], Memory]:
        """The first good copy of a release, and the bad ones before it that nobody was told of."""
        told: list[BadRelease] = []
        waits: list[tuple[str, NotYetError]] = []
        for watch in watches:
            name = _name(watch)
            key = f"{version} {name}"
            before = memory.bad.get(key)
            if before and before.holds(now):
                continue
            try:
                good = self._client.verify(version, watch.downloads, insecure=watch.insecure)
            except BadReleaseError as error:
                if before is None or before.why != error.what:
                    told.append(BadRelease(version, name, error.what))
                failed = Backoff.after(before, now, self._upstream.interval, error.what)
                memory = dataclasses.replace(memory, bad={**memory.bad, key: failed})
            except NotYetError as error:
                waits.append((name, error))
                self._client.report(f"BusyBox {version}: {error.what}")
            except (StorageError, CancelledError):
                raise
            except SourceError as error:
                self._client.report(f"BusyBox {version} at {name}: {error}")
            else:
                return [good], told, memory
        memory = self._wait(version, waits, told, memory, now)
        return [], told, memory

    def _wait(
        self,
        version: Version,
        waits: list[tuple[str, NotYetError]],
        told: list[BadRelease],
        memory: Memory,
        now: float,
    ) -> Memory:
        """Remember since when a release is not whole; tell of one that stays without a signature."""
        text = str(version)
        if not waits:
            return memory
        since = min(memory.waiting.get(text, now), now)
        memory = dataclasses.replace(memory, waiting={**memory.waiting, text: since})
        overdue = now - since >= self._upstream.grace and all(wait.unsigned for _, wait in waits)
        if not overdue or text in memory.unsigned:
            return memory
        told.append(BadRelease(version, waits[0][0], "it is not signed: upstream's key vouches for nothing"))
        return dataclasses.replace(memory, unsigned=(*memory.unsigned, text))


def _name(watch: Watch) -> str:
    """A place's name, for people and for the memory: nothing in it may be secret."""
    host = host_of(watch.downloads)
    if isinstance(watch, GitWatch):
        return f"{host}{_path(watch.downloads)} by tags of {_repository(watch.repository)}"
    return f"{host}{_path(watch.url)}"


def _repository(text: str) -> str:
    """A repository's name; what is no URL (a path, `USER@HOST:PATH`) has no password in it."""
    return f"{host_of(text)}{_path(text)}" if "://" in text else text


def _path(url: str) -> str:
    return "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]
