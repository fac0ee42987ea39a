"""`StageRootfs`: from what the worker built to a layer the master trusts."""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core import rootfs
from minios_steps.core.elf import ElfInfo, check_machine, read_elf
from minios_steps.core.errors import ElfError, MiniosError
from minios_steps.core.libraries import LibraryClosure
from minios_steps.core.tarball import LayerFile, read_members, write_layer
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from minios_steps.core.config.arch import Arch

INSTALL_LIMIT = 64 << 20
"""Bytes the program and its links may have as a tar; real ones have 3 million."""
LIBRARY_LIMIT = 32 << 20
"""Bytes one shared library may have."""
MAX_MEMBERS = 2
"""The program and its list of links."""
PROGRAM = "busybox"
LINKS = "busybox.links"
"""Where each applet is to be installed, a path a line, as BusyBox's build writes it."""


class StageRootfs(MiniosStep):
    """Fetch the program and its links, judge them, add the skeleton, pack the layer.

    Args:
        arch: the CPU.
        variant: `static` or `dynamic`; may be a renderable.
        skeleton: the folder with `skeleton.yaml`.
        work_root: the master's scratch folder; each build has its own below it.

    Refuses an ELF of another machine, a dynamic binary in the static variant, a missing
    loader or library. Sets the properties `cell_dir` (a path on the master), `layer`
    (digest, diff id, sizes, path) and `interpreter` (the ELF loader, empty for static).
    """

    name = "stage"
    renderables = ("variant",)
    default_workdir = "build/obj"

    def __init__(self, *, arch: Arch, variant: Any, skeleton: Path, work_root: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arch = arch
        self.variant = variant
        self.skeleton = skeleton
        self.work_root = work_root

    async def work(self) -> int:
        """Collect, upload, check, pack."""
        cell_dir = self.scratch(self.work_root)
        installed = cell_dir / "install.tar"
        await self._collect()
        await self.upload_file("install.tar", installed, limit=INSTALL_LIMIT)
        busybox, links = await self.in_thread(self._read_install, installed)
        info = read_elf(busybox, "bin/busybox")
        check_machine(info, self.arch, "bin/busybox")
        self._check_linkage(info)
        libraries = LibraryClosure(self.arch, info)
        if info.interpreter:
            await self._fetch_libraries(libraries, cell_dir)
        layer = await self.in_thread(self._pack, cell_dir, busybox, links, libraries, info.interpreter)
        self.setProperty("layer", layer.as_json(), self.name)
        self.setProperty("interpreter", info.interpreter, self.name)
        self.setStatistic("layer_bytes", layer.size)
        names = sorted({posixpath.basename(link) for link in links})
        (cell_dir / "applets.txt").write_text("\n".join(names) + "\n", "utf-8")
        more = f", {len(libraries.libraries())} libraries" if info.interpreter else ""
        self.summary = f"{len(names)} applets{more}, layer {layer.size / 1e6:.2f} MB"
        return int(SUCCESS)

    async def _collect(self) -> None:
        # BusyBox's `make install` starts a process for each of 400 links, seconds of work to say
        # what busybox.links says already; the master makes the links itself.
        script = f"rm -f install.tar && tar cf install.tar {PROGRAM} {LINKS}"
        output = await self.command(["sh", "-c", script], collect=True)
        if output.code:
            raise MiniosError(f"what was built cannot be packed on the worker: {output.last_line}")

    def _read_install(self, path: Path) -> tuple[bytes, list[str]]:
        members = read_members(path, max_bytes=INSTALL_LIMIT, max_entries=MAX_MEMBERS)
        found = {member.path: member.data for member in members if isinstance(member.data, bytes)}
        for name in (PROGRAM, LINKS):
            if name not in found:
                raise MiniosError(f"the worker sent no {name}")
        return found[PROGRAM], found[LINKS].decode("utf-8", "replace").split()

    def _check_linkage(self, info: ElfInfo) -> None:
        if self.variant == "static" and (info.interpreter or info.needed):
            needs = ", ".join((info.interpreter, *info.needed)).strip(", ")
            raise ElfError(
                f"bin/busybox is dynamic in the static variant: it needs {needs}",
                hint="is CONFIG_STATIC on, and does the toolchain have a static libc?",
            )
        if self.variant == "dynamic" and not info.interpreter:
            raise ElfError("bin/busybox is static in the dynamic variant: it names no loader")

    async def _fetch_libraries(self, libraries: LibraryClosure, cell_dir: Path) -> None:
        """Ask the arch's own compiler where each library is, round by round, until none is left."""
        compiler = shlex.quote(f"{self.getProperty('cc_prefix', '')}gcc")
        while wanted := libraries.wanted():
            paths = await self._locate(compiler, wanted)
            for name, path in zip(wanted, paths, strict=True):
                if "/" not in path:
                    libraries.missing(name)
                destination = cell_dir / "lib" / name
                await self.upload_file(path, destination, limit=LIBRARY_LIMIT)
                libraries.add(name, destination.read_bytes())

    async def _locate(self, compiler: str, names: Sequence[str]) -> list[str]:
        # Where the compiler does not know a file it prints the bare name back.
        script = "; ".join(f"{compiler} -print-file-name={shlex.quote(name)}" for name in names)
        output = await self.command(["sh", "-c", script], collect=True)
        paths = output.stdout.splitlines()
        if output.code or len(paths) != len(names):
            raise MiniosError(f"the compiler cannot say where its libraries are: {output.last_line}")
        return paths

    def _pack(
        self,
        cell_dir: Path,
        busybox: bytes,
        links: list[str],
        libraries: LibraryClosure,
        loader: str,
    ) -> LayerFile:
        entries = rootfs.stage(
            rootfs.load_skeleton(self.skeleton), busybox, links, libraries.libraries(), loader
        )
        return write_layer(entries, cell_dir / "layer.tar.gz", int(self.getProperty("epoch", 0)))
