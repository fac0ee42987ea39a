"""`StageRootfs`: what the worker installed is judged on the master, and only then packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, SUCCESS
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
    locate,
    paths,
)
from stepbed import interrupted, no_such_file, upload, upload_file
from tinyelf import make_elf

from minios_steps import stage_rootfs
from minios_steps.core.tarball import LayerFile
from minios_steps.stage_rootfs import INSTALL_LIMIT, LIBRARY_LIMIT


class Static(StageCase):
    async def test_packed(self) -> None:
        self.stage(install().exit(0), installed())
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
        self.stage(install().stderr("tar: busybox: Cannot stat\n").exit(2))
        return self.refused("what was built cannot be packed on the worker: tar: busybox: Cannot stat")

    def test_install_takes_too_long(self) -> Any:
        self.stage(install().update("failure_reason", "timeout").exit(-1))
        return self.refused("what was built cannot be packed on the worker: it ran into its time limit")

    def test_no_tar_comes(self) -> Any:
        self.stage(install().exit(0), no_such_file(upload("install.tar", limit=INSTALL_LIMIT), "install.tar"))
        return self.refused(
            "the worker could not send 'install.tar': Cannot open file 'install.tar' for upload"
        )

    def test_far_too_large(self) -> Any:
        self.patch(stage_rootfs, "INSTALL_LIMIT", 1000)
        self.stage(install().exit(0), upload_file("install.tar", b"x" * 1001, limit=1000))
        return self.refused("'install.tar' from the worker: larger than the 1,000 bytes allowed")

    def test_not_a_tar(self) -> Any:
        self.stage(install().exit(0), installed(b"#!/bin/sh\n" * 100))
        return self.refused("install.tar: not a plain tar archive, or a damaged one")

    def test_unsafe_link(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(links=["/bin/../../etc/passwd"])))
        return self.refused("not a place for an applet: '/bin/../../etc/passwd'")

    def test_no_busybox(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(None)))
        return self.refused("the worker sent no busybox")

    def test_no_links(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(links=None)))
        self.expect_no_property("certain")
        return self.refused("the worker sent no busybox.links")

    def test_busybox_is_a_link(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(target="busybox.links")))
        return self.refused("the worker sent no busybox")

    def test_not_a_program(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(b"#!/bin/sh\n")))
        return self.refused("bin/busybox: not an ELF file, or a damaged one")

    def test_another_machine(self) -> Any:
        self.stage(install().exit(0), installed(install_tar(make_elf(62, kind=2))))
        self.expect_property("certain", True, "stage")
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
        self.stage(install().exit(0), installed(install_tar(links=["/bin/sh"])))
        return self.refused("BusyBox has no env applet, and scripts need /usr/bin/env")


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
        sending = upload("install.tar", limit=INSTALL_LIMIT)
        await self.cancelled(install().exit(0), sending.upload_string(install_tar()[:700]).exit(1))
        assert self.left("work") == []

    def test_while_libraries_are_looked_for(self) -> Any:
        return self.cancelled(
            install().exit(0),
            installed(install_tar(DYNAMIC)),
            locate(*NAMES).exit(-1),
            variant="dynamic",
        )

    async def test_in_the_upload_of_a_library(self) -> None:
        sending = upload(f"{SYSROOT}/{NAMES[0]}", limit=LIBRARY_LIMIT)
        await self.cancelled(
            install().exit(0),
            installed(install_tar(DYNAMIC)),
            locate(*NAMES).stdout(paths(*NAMES)).exit(0),
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
