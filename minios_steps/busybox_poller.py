"""`BusyBoxPoller`: a Change for every new, verified release of BusyBox, once."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

from buildbot.changes.base import ReconfigurablePollingChangeSource
from buildbot.data.resultspec import Filter
from twisted.internet import threads
from twisted.python import log

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import MiniosError
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.upstream.adopt import adopt
from minios_steps.core.upstream.discoveries import Discoveries
from minios_steps.core.upstream.memory import Memory
from minios_steps.core.upstream.news import is_stable
from minios_steps.core.upstream.release_files import Client
from minios_steps.core.upstream.signature import PinnedKey
from minios_steps.core.upstream.watch import UpstreamWatch
from minios_steps.core.version import Version
from minios_steps.core.web.patience import Patience

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.sources import Sources
    from minios_steps.core.config.upstream import Upstream
    from minios_steps.core.upstream.discoveries import Discovered
    from minios_steps.core.upstream.release_files import VerifiedRelease
    from minios_steps.core.upstream.watch import BadRelease, Look

CATEGORY = "busybox-release"
"""The category of the Changes, for schedulers' filters."""
BAD_RELEASE = ("minios", "upstream", "bad-release")
"""The event of a release that must not be built: `version`, `place` and `reason`."""

_STATE = "upstream"
_SOON = 0.5
_AUTHOR = "BusyBox upstream"


class BusyBoxPoller(ReconfigurablePollingChangeSource):  # type: ignore[misc]
    """Look for new releases, verify them, and emit a Change for each good one.

    Args:
        upstream: the places, the keys and what counts (`upstream` in `minios.yaml`).
        sources: the pinned releases, which are no news, and the limits.
        config_root: the folder that holds `keys/` and `patches/`.
        cache: the master's cache folder; a verified tarball is there when its Change comes.
        discoveries: the file that tells builds what a release is made of.
        patience: how long a server may take.

    A Change has the category `busybox-release`, the version as its revision, and the properties
    `versions` (a list of the one version), `upstream_sha256`, `upstream_fingerprint`,
    `upstream_url` and `upstream_refused_patches`. A bad release makes an event
    `minios.upstream.bad-release` and a line in the log, once, and no Change.
    """

    _stopped: threading.Event

    def checkConfig(
        self,
        *,
        upstream: Upstream,
        sources: Sources,  # noqa: ARG002
        config_root: Path,  # noqa: ARG002
        cache: Path,  # noqa: ARG002
        discoveries: Path,  # noqa: ARG002
        patience: Patience | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        """Check what can be checked before anything runs."""
        super().checkConfig(name=self.name, pollInterval=upstream.interval, **kwargs)

    async def reconfigService(
        self,
        *,
        upstream: Upstream,
        sources: Sources,
        config_root: Path,
        cache: Path,
        discoveries: Path,
        patience: Patience | None = None,
        **kwargs: Any,
    ) -> None:
        """Take a configuration, at the start or while running; what was announced stays known.

        A look that runs keeps the old one. Another interval ends it: Buildbot would wait for it with all
        that is reconfigured after it.
        """
        ended = self.doPoll.running and self.pollInterval != upstream.interval
        if ended:
            self._stopped.set()
        self.upstream = upstream
        self.sources = sources
        self.config_root = config_root
        self.cache = cache
        self.discoveries = Discoveries(discoveries)
        # Short, for the master waits for a look that runs when it stops.
        self.patience = patience or Patience(connect=5, read=10, total=300, tries=3)
        await super().reconfigService(name=self.name, pollInterval=upstream.interval, **kwargs)
        if ended:
            self._stopped = threading.Event()

    def describe(self) -> str:
        """What the web shows."""
        return f"BusyBoxPoller watching {len(self.upstream.watch)} places"

    def activate(self) -> Any:
        """Start to look."""
        self._stopped = threading.Event()
        return super().activate()

    def deactivate(self) -> Any:
        """Stop; a look that runs ends soon."""
        self._stopped.set()
        return super().deactivate()

    async def poll(self) -> None:
        """Look once, and tell; as soon as the master is up."""
        if not await self._is_up():
            self.master.reactor.callLater(_SOON, self.force)
            return
        memory = Memory.from_json(await self._get_state())
        try:
            # Builds know a release from this file: one that is not in it any more is to be found again.
            found = await self._in_thread(self.discoveries.read)
            look = await self._in_thread(self._look, memory.known({*found, *self.sources.releases}))
            memory = look.memory
            for bad in look.bad:
                self._tell_bad(bad)
            # Who is told keeps what they were told: twice does no harm, never would.
            await self._remember(memory)
            for release in look.good:
                if await self._try_to_announce(release):
                    memory = memory.announce(str(release.version), release.sha256)
                    await self._remember(memory)
        except CancelledError:
            # The master stops: the next one goes on.
            return
        except MiniosError as error:
            log.msg(f"BusyBoxPoller: {error}")

    async def _is_up(self) -> bool:
        # Buildbot starts the schedulers after the change sources: nobody would hear of a Change until then.
        mine = await self.master.data.get(("masters", self.master.masterid))
        return bool(mine and mine["active"])

    def _look(self, memory: Memory) -> Look:
        upstream = self.upstream
        client = Client(
            cache=SourceCache(self.cache / "sources"),
            keys=[PinnedKey(self.config_root / "keys" / key.file, key.fingerprint) for key in upstream.keys],
            max_bytes=self.sources.max_bytes,
            patience=self.patience,
            report=self._report,
            cancelled=self._stopped.is_set,
        )
        pinned = [Version.parse(text) for text in self.sources.releases]
        return UpstreamWatch(upstream, pinned, client).look(memory, self.master.reactor.seconds())

    def _report(self, line: str) -> None:
        # Called in a thread; Twisted's log is written in the reactor's.
        self.master.reactor.callFromThread(log.msg, f"BusyBoxPoller: {line}")

    def _tell_bad(self, bad: BadRelease) -> None:
        log.msg(f"BusyBoxPoller: BusyBox {bad.version} at {bad.place} is bad: {bad.reason}; it is not built")
        told = {**dataclasses.asdict(bad), "version": str(bad.version)}
        self.master.mq.produce(BAD_RELEASE, told)

    async def _try_to_announce(self, release: VerifiedRelease) -> bool:
        """Announce a release; one that cannot be taken must not hold up the others."""
        try:
            await self._announce(release)
        except CancelledError:
            raise
        except MiniosError as error:
            log.msg(f"BusyBoxPoller: BusyBox {release.version} cannot be taken: {error}")
            return False
        return True

    async def _announce(self, release: VerifiedRelease) -> None:
        """Make the release known to builds, then start them."""
        found = await self._in_thread(
            adopt,
            release,
            self._patches(),
            max_unpacked=self.sources.max_unpacked,
            cancelled=self._stopped.is_set,
        )
        await self._in_thread(self.discoveries.add, found)
        version = str(release.version)
        # A master that died before it remembered has told already.
        filters = [Filter("category", "eq", [CATEGORY]), Filter("revision", "eq", [version])]
        if await self.master.data.get(("changes",), filters=filters):
            return
        kind = "stable" if is_stable(release.version) else "unstable"
        await self.master.data.updates.addChange(
            author=_AUTHOR,
            files=[release.url],
            comments=_comments(found, kind),
            revision=version,
            when_timestamp=int(self.master.reactor.seconds()),
            category=CATEGORY,
            project="busybox",
            repository=release.url,
            properties={
                "versions": [version],
                "upstream_sha256": found.sha256,
                "upstream_fingerprint": found.fingerprint,
                "upstream_url": found.url,
                "upstream_refused_patches": list(found.refused),
            },
        )

    def _patches(self) -> list[Path]:
        newest = self.sources.releases[str(self.sources.newest)]
        return [self.config_root / "patches" / name for name in newest.patches]

    async def _in_thread(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        reactor = self.master.reactor
        return await threads.deferToThreadPool(reactor, reactor.getThreadPool(), function, *args, **kwargs)

    async def _get_state(self) -> Any:
        return await self.master.db.state.getState(await self._object_id(), _STATE, None)

    async def _remember(self, memory: Memory) -> None:
        await self.master.db.state.setState(await self._object_id(), _STATE, memory.as_json())

    async def _object_id(self) -> int:
        found: int = await self.master.db.state.getObjectId(self.name, "minios.BusyBoxPoller")
        return found


def _comments(found: Discovered, kind: str) -> str:
    lines = [
        f"BusyBox {found.version} ({kind}) is out",
        "",
        f"sha256 {found.sha256}",
        f"signed by {found.fingerprint}",
        f"patches: {', '.join(found.patches) or 'none'}",
        *(f"not applied: {line}" for line in found.refused),
    ]
    return "\n".join(lines)
