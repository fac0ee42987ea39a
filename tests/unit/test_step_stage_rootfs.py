"""`StageRootfs`: what the worker installed is judged on the master, and only then packed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbed import make_arch
from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from configbed import ROOT
from stepbed import StepCase, interrupted, no_such_file, shell, upload, upload_file
from tinyelf import make_elf

from minios_steps import stage_rootfs
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


class Static(StageCase):
    async def test_packed(self) -> None:
        self.stage(install("aarch64-linux-gnu-", 1700000000).exit(0), installed())
        self.set_properties(cc_prefix="aarch64-linux-gnu-", epoch=1700000000)
        self.expect_outcome(SUCCESS, "4 applets, layer 0.00 MB")
        self.expect_property("interpreter", "", "stage")
        await self.run_step()
        folder = Path(self.property("cell_dir"))
        layer = LayerFile.from_json(self.property("layer"))
        assert layer.path == folder / "layer.tar.gz"
        assert self.get_nth_step(0).getStatistic("layer_bytes") == layer.path.stat().st_size
        assert (folder / "applets.txt").read_text() == "env\nlinuxrc\nls\nsh\n"
        members = self.members()
        assert members["bin/busybox"].size == len(STATIC)
        links = {path: m.linkname for path, m in members.items() if m.islnk()}
        assert links == dict.fromkeys(("bin/ls", "bin/sh", "usr/bin/env"), "bin/busybox")
        assert {m.mtime for m in members.values()} == {1700000000}
        assert members["etc/shadow"].mode == 0o600

    async def test_same_bytes_every_time(self) -> None:
        digests = []
        for _ in range(2):
            self._steps.clear()
            self.stage(install().exit(0), installed())
            self.expect_outcome(SUCCESS)
            await self.run_step()
            digests.append(self.property("layer")["digest"])
        assert digests[0] == digests[1]

    def test_renderable_variant(self) -> Any:
        self.stage(install().exit(0), installed(), variant=Property("variant"))
        self.set_properties(variant="static")
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_install_fails(self) -> Any:
        self.stage(install().stderr("make: *** [install] Error 1\n").exit(2))
        return self.refused("make install failed on the worker: make: *** [install] Error 1")

    def test_install_takes_too_long(self) -> Any:
        self.stage(install().update("failure_reason", "timeout").exit(-1))
        return self.refused("make install failed on the worker: it ran into its time limit")

    def test_no_tar_comes(self) -> Any:
        self.stage(
            install().exit(0), no_such_file(upload("../install.tar", limit=INSTALL_LIMIT), "install.tar")
        )
        return self.refused(
            "the worker could not send '../install.tar': Cannot open file 'install.tar' for upload"
        )

    def test_far_too_large(self) -> Any:
        self.patch(stage_rootfs, "INSTALL_LIMIT", 1000)
        self.stage(install().exit(0), upload_file("../install.tar", b"x" * 1001, limit=1000))
        return self.refused("'../install.tar' from the worker: larger than the 1,000 bytes allowed")

    def test_not_a_tar(self) -> Any:
        self.stage(install().exit(0), installed(b"#!/bin/sh\n" * 100))
        return self.refused("install.tar: not a plain tar archive, or a damaged one")

    def test_unsafe_member(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(links={"../../etc/passwd": "busybox"})))
        return self.refused("install.tar: not a plain relative path: '../../etc/passwd'")

    def test_no_busybox(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(None)))
        return self.refused("make install left no bin/busybox on the worker")

    def test_busybox_is_a_link(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(None, {"./bin/busybox": "sh"})))
        return self.refused("make install left no bin/busybox on the worker")

    def test_not_a_program(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(b"#!/bin/sh\n")))
        return self.refused("bin/busybox: not an ELF file, or a damaged one")

    def test_another_machine(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(make_elf(62, kind=2))))
        return self.refused(
            "bin/busybox: expected 64-bit little-endian machine 183 (AArch64),"
            " found 64-bit little-endian machine 62 (x86-64)"
        )

    def test_dynamic(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(DYNAMIC)))
        return self.refused(
            f"bin/busybox is dynamic in the static variant: it needs {LOADER}, libm.so.6, libc.so.6"
        )

    def test_libraries_without_a_loader(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(make_elf(AARCH64, needed=["libc.so.6"]))))
        return self.refused("bin/busybox is dynamic in the static variant: it needs libc.so.6")

    def test_no_env(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(links={"./bin/sh": "busybox"})))
        return self.refused("BusyBox has no env applet, and scripts need /usr/bin/env")


class Dynamic(StageCase):
    NAMES = ("ld-linux-aarch64.so.1", "libm.so.6", "libc.so.6")

    def dynamic(self, *commands: Any, busybox: bytes = DYNAMIC, prefix: str = "''") -> None:
        self.stage(install(prefix).exit(0), installed(install_tar(busybox)), *commands, variant="dynamic")

    async def test_packed(self) -> None:
        self.dynamic(
            locate(*self.NAMES).stdout(paths(*self.NAMES)).exit(0), *(library(name) for name in self.NAMES)
        )
        self.expect_outcome(SUCCESS, "4 applets, 3 libraries, layer 0.00 MB")
        self.expect_property("interpreter", LOADER, "stage")
        await self.run_step()
        members = self.members()
        assert {f"usr/lib64/{name}" for name in self.NAMES} <= {
            path for path, member in members.items() if member.isreg()
        }
        assert members["usr/lib/libc.so.6"].linkname == "../lib64/libc.so.6"

    def test_round_by_round(self) -> Any:
        first = ("ld-linux-aarch64.so.1", "libm.so.6")
        self.dynamic(
            locate(*first, compiler="aarch64-linux-gnu-gcc").stdout(paths(*first)).exit(0),
            *(library(name) for name in first),
            locate("libc.so.6", compiler="aarch64-linux-gnu-gcc").stdout(paths("libc.so.6")).exit(0),
            library("libc.so.6"),
            busybox=make_elf(AARCH64, interpreter=LOADER, needed=["libm.so.6"]),
            prefix="aarch64-linux-gnu-",
        )
        self.set_properties(cc_prefix="aarch64-linux-gnu-")
        self.expect_outcome(SUCCESS, "4 applets, 3 libraries, layer 0.00 MB")
        return self.run_step()

    def test_static(self) -> Any:
        self.dynamic(busybox=STATIC)
        return self.refused("bin/busybox is static in the dynamic variant: it names no loader")

    def test_library_is_missing(self) -> Any:
        self.dynamic(
            locate(*self.NAMES).stdout(f"{paths(self.NAMES[0])}libm.so.6\n{SYSROOT}/libc.so.6\n").exit(0),
            library(self.NAMES[0]),
        )
        return self.refused("libm.so.6 is missing: needed by bin/busybox")

    def test_librarys_library_is_missing(self) -> Any:
        first = ("ld-linux-aarch64.so.1", "libm.so.6")
        self.dynamic(
            locate(*first).stdout(paths(*first)).exit(0),
            *(library(name) for name in first),
            locate("libc.so.6").stdout("libc.so.6\n").exit(0),
            busybox=make_elf(AARCH64, interpreter=LOADER, needed=["libm.so.6"]),
        )
        return self.refused("libc.so.6 is missing: needed by libm.so.6")

    def test_compiler_is_gone(self) -> Any:
        self.dynamic(locate(*self.NAMES).stderr("sh: 1: gcc: not found\n").exit(127))
        return self.refused("the compiler cannot say where its libraries are: sh: 1: gcc: not found")

    def test_compiler_answers_too_little(self) -> Any:
        self.dynamic(locate(*self.NAMES).stdout(paths("libc.so.6")).exit(0))
        return self.refused(f"the compiler cannot say where its libraries are: {SYSROOT}/libc.so.6")

    def test_library_for_another_machine(self) -> Any:
        self.dynamic(
            locate(*self.NAMES).stdout(paths(*self.NAMES)).exit(0),
            library(self.NAMES[0]),
            library("libm.so.6", make_elf(62)),
        )
        return self.refused(
            "libm.so.6: expected 64-bit little-endian machine 183 (AArch64),"
            " found 64-bit little-endian machine 62 (x86-64)"
        )

    def test_library_is_a_linker_script(self) -> Any:
        self.dynamic(
            locate(*self.NAMES).stdout(paths(*self.NAMES)).exit(0),
            library(self.NAMES[0], b"GROUP ( /lib/libm.so.6 )\n"),
        )
        return self.refused("ld-linux-aarch64.so.1: not an ELF file, or a damaged one")

    def test_library_far_too_large(self) -> Any:
        self.patch(stage_rootfs, "LIBRARY_LIMIT", 100)
        self.dynamic(
            locate(*self.NAMES).stdout(paths(*self.NAMES)).exit(0),
            upload_file(f"{SYSROOT}/{self.NAMES[0]}", b"x" * 101, limit=100),
        )
        return self.refused(f"'{SYSROOT}/{self.NAMES[0]}' from the worker: larger than the 100 bytes allowed")

    def test_name_that_would_leave_the_folder(self) -> Any:
        self.dynamic(busybox=make_elf(AARCH64, interpreter=LOADER, needed=["../../evil"]))
        return self.refused("bin/busybox needs '../../evil', which is no plain file name")

    def test_loader_outside_the_library_folders(self) -> Any:
        self.dynamic(busybox=make_elf(AARCH64, interpreter="/etc/passwd", needed=["libc.so.6"]))
        return self.refused("bin/busybox names the loader '/etc/passwd', which is in no library folder")


class Cancelled(StageCase):
    def cancelled(self, *commands: Any, variant: str = "static") -> Any:
        self.stage(*commands[:-1], interrupted(commands[-1]), variant=variant)
        self.interrupt_nth_remote_command(len(commands) - 1)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("layer")
        self.expect_no_property("problem")
        return self.run_and_look()

    def test_in_install(self) -> Any:
        return self.cancelled(install().exit(-1))

    async def test_in_the_upload(self) -> None:
        sending = upload("../install.tar", limit=INSTALL_LIMIT)
        await self.cancelled(install().exit(0), sending.upload_string(install_tar()[:700]).exit(1))
        assert self.left("work") == []

    def test_while_libraries_are_looked_for(self) -> Any:
        return self.cancelled(
            install().exit(0),
            installed(install_tar(DYNAMIC)),
            locate(*Dynamic.NAMES).exit(-1),
            variant="dynamic",
        )

    async def test_in_the_upload_of_a_library(self) -> None:
        sending = upload(f"{SYSROOT}/{Dynamic.NAMES[0]}", limit=LIBRARY_LIMIT)
        await self.cancelled(
            install().exit(0),
            installed(install_tar(DYNAMIC)),
            locate(*Dynamic.NAMES).stdout(paths(*Dynamic.NAMES)).exit(0),
            sending.upload_string(b"\x7fELF").exit(1),
            variant="dynamic",
        )
        assert self.left("work") == ["install.tar"]

    def test_while_the_tar_is_read(self) -> Any:
        self.stage(install().exit(0), installed())
        self.interrupt_when(stage_rootfs, "read_members")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("layer")
        return self.run_and_look()

    def test_while_the_layer_is_packed(self) -> Any:
        self.stage(install().exit(0), installed())
        self.interrupt_when(stage_rootfs, "write_layer")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("layer")
        return self.run_step()
