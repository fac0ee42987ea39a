"""A watch of made-up upstreams that looks again and again, as a master has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upstreambed import IMPATIENT, MadeUpKey, Upstream, small_release

from minios_steps.core.config.upstream import Upstream as Config
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.upstream.memory import Memory
from minios_steps.core.upstream.release_files import Client
from minios_steps.core.upstream.watch import Look, UpstreamWatch
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0
NOW = 1_800_000_000.0
PINNED = (Version.parse("1.35.0"),)


class Watcher:
    """Looks again and again, remembering as a master does."""

    def __init__(self, folder: Path, key: MadeUpKey, *servers: Upstream, **config: Any) -> None:
        watch = [{"kind": "listing", "url": server.url, "insecure": True} for server in servers]
        self.config = Config.model_validate({"watch": watch, "interval": 3600, **config})
        self.lines: list[str] = []
        self.client = Client(
            *(SourceCache(folder / "cache"), [key.pinned(folder)], 1 << 20, IMPATIENT, self.lines.append),
            cancelled=lambda: False,
        )
        self.memory = Memory()
        self.now = NOW

    def look(self, after: float = HOUR) -> Look:
        self.now += after
        found = UpstreamWatch(self.config, PINNED, self.client).look(self.memory, self.now)
        self.memory = found.memory
        for release in found.good:
            self.memory = self.memory.announce(str(release.version), release.sha256)
        # What is kept in a database is what comes back from it.
        assert Memory.from_json(self.memory.as_json()) == self.memory
        return found

    def good(self, after: float = HOUR) -> list[str]:
        found = self.look(after)
        assert found.bad == ()
        return [str(release.version) for release in found.good]


def publish(server: Upstream, key: MadeUpKey, version: str) -> None:
    tarball = small_release(version)
    server.publish(version, tarball, key.sign(tarball))
