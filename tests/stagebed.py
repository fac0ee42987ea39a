"""A made-up program with its links, and libraries, for the tests of `StageRootfs`."""

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
    from collections.abc import Sequence

AARCH64 = 183
LOADER = "/lib/ld-linux-aarch64.so.1"
LINKS = ("/bin/sh", "/bin/ls", "/usr/bin/env", "/linuxrc")
STATIC = make_elf(AARCH64, kind=2)
DYNAMIC = make_elf(AARCH64, interpreter=LOADER, needed=["libm.so.6", "libc.so.6"])
LIBRARIES = {
    "ld-linux-aarch64.so.1": make_elf(AARCH64, soname="ld-linux-aarch64.so.1"),
    "libm.so.6": make_elf(AARCH64, needed=["libc.so.6"]),
    "libc.so.6": make_elf(AARCH64, needed=["ld-linux-aarch64.so.1"]),
}
NAMES = tuple(LIBRARIES)
SYSROOT = "/usr/aarch64-linux-gnu/lib"


def install_tar(
    busybox: bytes | None = STATIC, links: Sequence[str] | None = LINKS, target: str = ""
) -> bytes:
    """What the build leaves, as the worker's tar; `target` makes the program a link."""
    stream = io.BytesIO()
    listed = None if links is None else "".join(f"{link}\n" for link in links).encode()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in (("busybox", busybox), ("busybox.links", listed)):
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if name == "busybox" and target:
                info.type, info.linkname = tarfile.SYMTYPE, target
                tar.addfile(info)
            elif content is not None:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def install() -> Any:
    return shell(["sh", "-c", "rm -f install.tar && tar cf install.tar busybox busybox.links"])


def installed(content: bytes | None = None) -> Any:
    return upload_file("install.tar", install_tar() if content is None else content, limit=INSTALL_LIMIT)


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
