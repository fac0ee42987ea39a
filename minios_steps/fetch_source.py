"""`FetchSource`: the pinned, verified, patched BusyBox source, unpacked on the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.build_folder import BuildFolder, family_of, parse_opened
from minios_steps.core.errors import MiniosError, SourceError
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.sources.fetch import FetchResult, fetch
from minios_steps.core.sources.prepare import PreparedSource, prepare
from minios_steps.core.version import Version
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.sources import Release, Sources


class FetchSource(MiniosStep):
    """Download a release once per master, verify and patch it, and unpack it on the worker.

    Args:
        version: the release, such as `1.38.0`; may be a renderable.
        sources: the pinned releases and mirrors; may be a renderable.
        config_root: the folder `file` mirrors and `patches/` are relative to.
        cache: the master's cache folder.
        trees: where the worker keeps unpacked sources, relative to the builder's folder; they may
            be shared by all that compile on one machine.
        kept: a text, the same for all cells that may share a folder of objects when their source and
            compiler are the same; empty for a folder that no other build uses. May be a renderable.

    Sets the properties `source_sha256`, `epoch` (seconds), `kbuild_rules` (a path on the
    master) and `objects_kept` (whether there are objects of an earlier build). The source is
    unpacked beside the builder's folder; `build/obj` is where make is to be called. With the
    property `force_rebuild` there are no objects in it.
    """

    name = "fetch"
    renderables = ("version", "sources", "trees", "kept")
    default_workdir = "build"

    def __init__(
        self,
        *,
        version: Any,
        sources: Any,
        config_root: Path,
        cache: Path,
        trees: Any = "..",
        kept: Any = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trees = trees
        self.kept = kept
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
        kept = await self._open(prepared, release.epoch)
        await self._link_upstream(version)
        self.setProperty("source_sha256", release.sha256, self.name)
        self.setProperty("epoch", release.epoch, self.name)
        self.setProperty("kbuild_rules", str(prepared.rules_path), self.name)
        self.setProperty("objects_kept", kept, self.name)
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

    async def _open(self, prepared: PreparedSource, epoch: int) -> bool:
        """Make the build folder; returns whether its objects are of an earlier build."""
        await self.remove_folder("build")
        await self.make_folder("build")
        folder = BuildFolder(
            trees=str(self.trees),
            source=prepared.key,
            family=self._family(prepared, epoch),
            fresh=bool(self.getProperty("force_rebuild", False)),
        )
        opened = await self._run_open(folder)
        if opened == "wanted":
            await self.download_file(prepared.path, "source.tar.gz")
            opened = await self._run_open(folder)
        if opened == "wanted":
            raise MiniosError("the worker lost the source that it was sent", hint="see the step's log")
        return opened == "kept"

    async def _run_open(self, folder: BuildFolder) -> str:
        output = await self.command(folder.command, collect=True)
        if output.code:
            raise MiniosError(
                f"the worker cannot unpack the source: {output.last_line}", hint="is its disk full?"
            )
        return parse_opened(output.stdout)

    def _family(self, prepared: PreparedSource, epoch: int) -> str:
        if not self.kept:
            return ""
        found = [str(self.getProperty(name, "")) for name in ("toolchain_identity", "cc_prefix", "ccache")]
        return family_of(prepared.key.hex, str(self.kept), str(epoch), *found)
