"""`StageRootfs`: the libraries of a dynamic BusyBox, round by round."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import SUCCESS
from stagebed import (
    AARCH64,
    DYNAMIC,
    LOADER,
    NAMES,
    STATIC,
    SYSROOT,
    StageCase,
    install,
    install_tar,
    installed,
    library,
    locate,
    paths,
)
from stepbed import upload_file
from tinyelf import make_elf

from minios_steps import stage_rootfs


class Dynamic(StageCase):
    def dynamic(self, *commands: Any, busybox: bytes = DYNAMIC) -> None:
        self.stage(install().exit(0), installed(install_tar(busybox)), *commands, variant="dynamic")

    async def test_packed(self) -> None:
        self.dynamic(locate(*NAMES).stdout(paths(*NAMES)).exit(0), *(library(name) for name in NAMES))
        self.expect_outcome(SUCCESS, "4 applets, 3 libraries, layer 0.00 MB")
        self.expect_property("interpreter", LOADER, "stage")
        await self.run_step()
        members = self.members()
        assert {f"usr/lib64/{name}" for name in NAMES} <= {
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
        )
        self.set_properties(cc_prefix="aarch64-linux-gnu-")
        self.expect_outcome(SUCCESS, "4 applets, 3 libraries, layer 0.00 MB")
        return self.run_step()

    def test_static(self) -> Any:
        self.dynamic(busybox=STATIC)
        return self.refused("bin/busybox is static in the dynamic variant: it names no loader")

    def test_library_is_missing(self) -> Any:
        self.dynamic(
            locate(*NAMES).stdout(f"{paths(NAMES[0])}libm.so.6\n{SYSROOT}/libc.so.6\n").exit(0),
            library(NAMES[0]),
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
        self.dynamic(locate(*NAMES).stderr("sh: 1: gcc: not found\n").exit(127))
        return self.refused("the compiler cannot say where its libraries are: sh: 1: gcc: not found")

    def test_compiler_answers_too_little(self) -> Any:
        self.dynamic(locate(*NAMES).stdout(paths("libc.so.6")).exit(0))
        return self.refused(f"the compiler cannot say where its libraries are: {SYSROOT}/libc.so.6")

    def test_library_for_another_machine(self) -> Any:
        self.dynamic(
            locate(*NAMES).stdout(paths(*NAMES)).exit(0),
            library(NAMES[0]),
            library("libm.so.6", make_elf(62)),
        )
        return self.refused(
            "libm.so.6: expected 64-bit little-endian machine 183 (AArch64),"
            " found 64-bit little-endian machine 62 (x86-64)"
        )

    def test_library_is_a_linker_script(self) -> Any:
        self.dynamic(
            locate(*NAMES).stdout(paths(*NAMES)).exit(0),
            library(NAMES[0], b"GROUP ( /lib/libm.so.6 )\n"),
        )
        return self.refused("ld-linux-aarch64.so.1: not an ELF file, or a damaged one")

    def test_library_far_too_large(self) -> Any:
        self.patch(stage_rootfs, "LIBRARY_LIMIT", 100)
        self.dynamic(
            locate(*NAMES).stdout(paths(*NAMES)).exit(0),
            upload_file(f"{SYSROOT}/{NAMES[0]}", b"x" * 101, limit=100),
        )
        return self.refused(f"'{SYSROOT}/{NAMES[0]}' from the worker: larger than the 100 bytes allowed")

    def test_name_that_would_leave_the_folder(self) -> Any:
        self.dynamic(busybox=make_elf(AARCH64, interpreter=LOADER, needed=["../../evil"]))
        return self.refused("bin/busybox needs '../../evil', which is no plain file name")

    def test_loader_outside_the_library_folders(self) -> Any:
        self.dynamic(busybox=make_elf(AARCH64, interpreter="/etc/passwd", needed=["libc.so.6"]))
        return self.refused("bin/busybox names the loader '/etc/passwd', which is in no library folder")
