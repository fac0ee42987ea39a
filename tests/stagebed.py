"""A made-up `make install`, and libraries, for the tests of `StageRootfs`."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

from archbed import make_arch
from buildbot.process.results import FAILURE
from configbed import ROOT
from stepbed import StepCase, shell, upload_file
from tinyelf import make_elf

from minios_steps.core.tarball import LayerFile
from minios_steps.stage_rootfs import INSTALL_LIMIT, LIBRARY_LIMIT, StageRootfs

if TYPE_CHECKING:
    from collections.abc import Mapping

AARCH64 = 183
LOADER = "/lib/ld-linux-aarch64.so.1"
LINKS = {
    "./bin/sh": "busybox",
    "./bin/ls": "busybox",
    "./usr/bin/env": "../../bin/busybox",
    "./linuxrc": "bin/busybox",
}
STATIC = make_elf(AARCH64, kind=2)
DYNAMIC = make_elf(AARCH64, interpreter=LOADER, needed=["libm.so.6", "libc.so.6"])
LIBRARIES = {
    "ld-linux-aarch64.so.1": make_elf(AARCH64, soname="ld-linux-aarch64.so.1"),
    "libm.so.6": make_elf(AARCH64, needed=["libc.so.6"]),
    "libc.so.6": make_elf(AARCH64, needed=["ld-linux-aarch64.so.1"]),
}
NAMES = tuple(LIBRARIES)
SYSROOT = "/usr/aarch64-linux-gnu/lib"


def install_tar(busybox: bytes | None = STATIC, links: Mapping[str, str] = LINKS) -> bytes:
    """What `make install` leaves, as the worker's tar."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for folder in (".", "./bin", "./usr", "./usr/bin"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        if busybox is not None:
            info = tarfile.TarInfo("./bin/busybox")
            info.size, info.mode = len(busybox), 0o755
            tar.addfile(info, io.BytesIO(busybox))
        for path, target in links.items():
            info = tarfile.TarInfo(path)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return stream.getvalue()


def install(prefix: str = "''", epoch: int = 0) -> Any:
    script = (
        "rm -rf ../install ../install.tar && mkdir ../install"
        f" && make ARCH=aarch64 CROSS_COMPILE={prefix} CONFIG_PREFIX=../install install"
        " && tar cf ../install.tar -C ../install ."
    )
    return shell(["sh", "-c", script], env={"KCONFIG_NOTIMESTAMP": "1", "SOURCE_DATE_EPOCH": str(epoch)})


def installed(content: bytes | None = None) -> Any:
    return upload_file("../install.tar", install_tar() if content is None else content, limit=INSTALL_LIMIT)


def locate(*names: str, compiler: str = "gcc") -> Any:
    return shell(["sh", "-c", "; ".join(f"{compiler} -print-file-name={name}" for name in names)])


def library(name: str, content: bytes | None = None) -> Any:
    return upload_file(
        f"{SYSROOT}/{name}", LIBRARIES[name] if content is None else content, limit=LIBRARY_LIMIT
    )


def paths(*names: str) -> str:
    return "".join(f"{SYSROOT}/{name}\n" for name in names)


class StageCase(StepCase):
    def stage(self, *commands: Any, variant: Any = "static") -> None:
        self.setup_step(
            StageRootfs(
                arch=make_arch(),
                variant=variant,
                skeleton=ROOT / "config" / "rootfs",
                work_root=self.folder / "work",
            )
        )
        self.expect_commands(*commands)

    def refused(self, what: str) -> Any:
        """Run to a failure, after which there is no layer."""
        self.expect_outcome(FAILURE, what)
        self.expect_no_property("layer")
        return self.run_and_look()

    async def run_and_look(self) -> None:
        await self.run_step()
        assert set(self.left("work")) <= {"install.tar", *LIBRARIES}

    def members(self) -> dict[str, tarfile.TarInfo]:
        """What is in the layer that was packed."""
        with tarfile.open(LayerFile.from_json(self.property("layer")).path) as tar:
            return {member.name: member for member in tar}
