"""`FetchSource`: the pinned, verified, patched BusyBox source, unpacked on the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.errors import MiniosError, SourceError
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.sources.fetch import FetchResult, fetch
from minios_steps.core.sources.prepare import PreparedSource, prepare
from minios_steps.core.version import Version
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.sources import Release, Sources

SOURCE_FOLDER = "src"
"""Where the source is, below the build folder on the worker."""


class FetchSource(MiniosStep):
    """Download a release once per master, verify and patch it, and unpack it on the worker.

    Args:
        version: the release, such as `1.38.0`; may be a renderable.
        sources: the pinned releases and mirrors; may be a renderable.
        config_root: the folder `file` mirrors and `patches/` are relative to.
        cache: the master's cache folder.

    Sets the properties `source_sha256`, `epoch` (seconds) and `kbuild_rules` (a path on
    the master). The source is unpacked into `build/src` on the worker.
    """

    name = "fetch"
    renderables = ("version", "sources")
    default_workdir = "build"

    def __init__(self, *, version: Any, sources: Any, config_root: Path, cache: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.sources: Sources = sources
        self.config_root = config_root
        self.cache = cache

    async def work(self) -> int:
        """Fetch and patch on the master, then hand the source to the worker."""
        version = Version.parse(str(self.version))
        release = self.sources.releases.get(str(version))
        if release is None:
            raise SourceError(f"BusyBox {version} is not pinned", hint="add it to sources.yaml")
        self.tell(f"fetching BusyBox {version}")
        lines: list[str] = []
        try:
            fetched, prepared = await self.in_thread(self._prepare, version, release, lines.append)
        finally:
            if lines:
                await self.addCompleteLog("sources", "\n".join(lines) + "\n")
        self.tell(f"sending BusyBox {version} to the worker")
        await self._unpack(prepared)
        await self._link_upstream(version)
        self.setProperty("source_sha256", release.sha256, self.name)
        self.setProperty("epoch", release.epoch, self.name)
        self.setProperty("kbuild_rules", str(prepared.rules_path), self.name)
        count = len(release.patches)
        patched = f"{count} patch{'es' if count != 1 else ''}"
        megabytes = prepared.path.stat().st_size / 1e6
        self.summary = f"BusyBox {version} from {fetched.mirror}, {patched}, {megabytes:.1f} MB sent"
        self.setStatistic("bytes", prepared.path.stat().st_size)
        return int(SUCCESS)

    def _prepare(self, version: Version, release: Release, report: Any) -> tuple[FetchResult, PreparedSource]:
        fetched = fetch(
            version,
            self.sources,
            cache=SourceCache(self.cache / "sources"),
            config_root=self.config_root,
            report=report,
            cancelled=self.cancelled,
        )
        patches = [self.config_root / "patches" / name for name in release.patches]
        prepared = prepare(
            version,
            fetched.path,
            patches,
            cache_root=self.cache / "prepared",
            epoch=release.epoch,
            max_unpacked=self.sources.max_unpacked,
            cancelled=self.cancelled,
        )
        return fetched, prepared

    async def _link_upstream(self, version: Version) -> None:
        """Link the release where people can read about it; a URL with a secret in it is not shown."""
        for mirror in self.sources.mirrors:
            if mirror.kind == "https" and "@" not in mirror.url and "?" not in mirror.url:
                await self.addURL(f"BusyBox {version}", mirror.url.replace("{version}", str(version)))
                return

    async def _unpack(self, prepared: PreparedSource) -> None:
        await self.remove_folder("build")
        await self.make_folder("build")
        await self.download_file(prepared.path, "source.tar.gz")
        script = (
            f"mkdir {SOURCE_FOLDER} && gzip -dc source.tar.gz > source.tar"
            f" && tar xf source.tar && mv busybox-*/* {SOURCE_FOLDER}/ && rm -rf busybox-* source.tar*"
        )
        output = await self.command(["sh", "-c", script], collect=True)
        if output.code:
            raise MiniosError(
                f"the worker cannot unpack the source: {output.last_line}", hint="is its disk full?"
            )
