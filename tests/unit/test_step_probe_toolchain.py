"""`ProbeToolchain`: what the probe says becomes properties, or one line that says what to install."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archbed import answer, make_arch
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from muslbed import musl_arch
from stepbed import StepCase, download, interrupted, shell

from minios_steps import probe_toolchain
from minios_steps.core.digest import Digest
from minios_steps.core.musl.kit import MuslKit
from minios_steps.core.musl.setup import setup_command
from minios_steps.core.toolchain import ToolchainError, probe_command
from minios_steps.probe_toolchain import ProbeToolchain

CROSS = make_arch()
NATIVE = make_arch(uname=["aarch64", "x86_64"])
"""An arch that the machine of `answer()` runs by itself."""
INSTALL = "on Debian: apt-get install --no-install-recommends gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross"


class Probing(StepCase):
    def probe(self, output: str, *, arch: Any = CROSS, code: int = 0) -> None:
        self.setup_step(ProbeToolchain(arch=arch, cache=self.folder / "cache"))
        command = list(probe_command(arch))
        self.expect_commands(
            shell(command, workdir=".", timeout=60, max_lines=2000).stdout(output).exit(code)
        )

    def nothing_set(self) -> None:
        for name in ("toolchain_identity", "cc_prefix", "cores", "native", "emulator"):
            self.expect_no_property(name)

    async def test_cross(self) -> None:
        self.probe(answer())
        self.expect_outcome(
            SUCCESS,
            "gcc 12.2.0 (aarch64-linux-gnu), glibc 2.36, make 4.3, 2 cores, 82 GB free, no Docker",
        )
        self.expect_property("cc_prefix", "aarch64-linux-gnu-", "probe")
        self.expect_property("cores", 2, "probe")
        self.expect_property("native", False, "probe")
        self.expect_property("emulator", "/usr/bin/qemu-aarch64-static", "probe")
        await self.run_step()
        identity = self.property("toolchain_identity")
        assert "gcc version 12.2.0" in identity
        assert "libc glibc 2.36" in identity
        assert "COLLECT_" not in identity

    def test_native_without_an_emulator(self) -> Any:
        self.probe(answer(emulator=None), arch=NATIVE)
        self.expect_outcome(SUCCESS)
        self.expect_property("cc_prefix", "", "probe")
        self.expect_property("native", True, "probe")
        self.expect_property("emulator", "", "probe")
        return self.run_step()

    def test_script_fails(self) -> Any:
        self.probe("sh: 1: syntax error\n", code=2)
        self.expect_outcome(FAILURE, "the probe failed on the worker: sh: 1: syntax error")
        self.nothing_set()
        return self.run_step()

    def test_no_answer_in_time(self) -> Any:
        self.setup_step(ProbeToolchain(arch=CROSS, cache=self.folder / "cache"))
        command = shell(list(probe_command(CROSS)), workdir=".", timeout=60, max_lines=2000)
        self.expect_commands(command.update("failure_reason", "timeout_without_output").exit(-1))
        self.expect_outcome(FAILURE, "the probe failed on the worker: it ran into its time limit")
        return self.run_step()

    def test_another_programs_output(self) -> Any:
        self.probe("hello\n")
        self.expect_outcome(FAILURE, "the toolchain probe did not answer")
        self.nothing_set()
        return self.run_step()

    def test_no_compiler(self) -> Any:
        self.probe(answer(cc_path=None))
        what = "no compiler for aarch64 on this x86_64 machine: aarch64-linux-gnu-gcc was not found"
        self.expect_outcome(FAILURE, what)
        self.expect_property("problem", f"{what} ({INSTALL})")
        self.nothing_set()
        return self.run_step()

    def test_compiler_for_another_cpu(self) -> Any:
        self.probe(answer(target="x86_64-linux-gnu"))
        self.expect_outcome(
            FAILURE,
            "aarch64-linux-gnu-gcc compiles for x86_64-linux-gnu, expected a compiler for aarch64",
        )
        self.nothing_set()
        return self.run_step()

    def test_another_libc(self) -> Any:
        self.probe(answer(libc_macros="__GLIBC__ __GLIBC_MINOR__ __UCLIBC__"))
        self.expect_outcome(
            FAILURE, "aarch64-linux-gnu-gcc links musl, but the configuration of aarch64 says glibc"
        )
        return self.run_step()

    def test_missing_tools(self) -> Any:
        self.probe(answer(make="", bzip2=""))
        self.expect_outcome(FAILURE, "missing on this machine: make, bzip2")
        self.expect_property("problem", "missing on this machine: make, bzip2 (install these and retry)")
        return self.run_step()

    def test_disk_nearly_full(self) -> Any:
        self.probe(answer(disk_kb="50000"))
        self.expect_outcome(FAILURE, "only 51 MB free in the build folder")
        return self.run_step()

    def test_cancelled(self) -> Any:
        self.setup_step(ProbeToolchain(arch=CROSS, cache=self.folder / "cache"))
        command = shell(list(probe_command(CROSS)), workdir=".", timeout=60, max_lines=2000)
        self.interrupt_nth_remote_command(0)
        self.expect_commands(interrupted(command.stdout(answer()).exit(-1)))
        self.expect_outcome(CANCELLED)
        self.nothing_set()
        return self.run_step()


KIT = MuslKit(Path("kit.tar.gz"), Digest.of(b"kit"), "aarch64-linux-musl", "1.2.5-3", "trixie", ("1" * 64,))
MUSL = musl_arch()
PREFIX = "/worker/kit/bin/aarch64-linux-musl-"


class WithMusl(Probing):
    """The kit itself is made up; `test_musl_kit` makes real ones."""

    def setting_up(self, *answers: Any) -> Any:
        """The step, with what the setup script answers each time and the commands between."""
        Path("kit.tar.gz").write_bytes(b"packed")
        self.patch(probe_toolchain, "obtain_kit", self.obtain)
        self.setup_step(ProbeToolchain(arch=MUSL, cache=self.folder / "cache"))
        self.expect_commands(*answers)

    def obtain(self, arch: Any, cache: Path, *, report: Any, cancelled: Any) -> MuslKit:
        assert (arch, cache) == (MUSL, self.folder / "cache" / "musl")
        assert cancelled() == self.get_nth_step(0).stopped
        report("musl 1.2.5-3 for arm64, from Debian trixie")
        return KIT

    def setup_script(self, answer: str, probed: str = "") -> Any:
        command = shell(list(setup_command(MUSL, KIT, "..")), workdir=".", timeout=60, max_lines=2000)
        return command.stdout(f"minios-musl\t{answer}\n{probed}").exit(0)

    answer = answer(
        cc=f"{PREFIX}gcc",
        cc_path=f"{PREFIX}gcc",
        cc_v="Reading specs from /worker/kit/musl-gcc.specs",
        libc_macros="__GLIBC__ __GLIBC_MINOR__ __UCLIBC__",
    )

    async def test_it_is_sent_and_the_compiler_that_links_it_is_asked(self) -> None:
        sent: list[bytes] = []
        self.setting_up(
            self.setup_script("wanted"),
            download(f"../{KIT.name}.tar.gz", workdir=".", text=False, into=sent.append),
            self.setup_script(PREFIX, self.answer),
        )
        self.expect_outcome(SUCCESS)
        self.expect_property("cc_prefix", PREFIX, "probe")
        await self.run_step()
        assert sent == [b"packed"]
        identity = self.property("toolchain_identity")
        assert "libc musl 1.2.5-3\n" in identity
        assert f"package {'1' * 64}\n" in identity
        assert "/worker" not in identity, "where it is changes no bytes"
        assert self.log_text("musl") == "musl 1.2.5-3 for arm64, from Debian trixie\n"

    def test_what_is_there_is_not_sent_again(self) -> Any:
        self.setting_up(self.setup_script(PREFIX, self.answer))
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_a_machine_without_a_compiler(self) -> Any:
        self.setting_up(self.setup_script("none", answer(cc_path=None)))
        self.expect_outcome(
            FAILURE, "no compiler for aarch64 on this x86_64 machine: aarch64-linux-gnu-gcc was not found"
        )
        return self.run_step()

    def test_it_cannot_be_unpacked(self) -> Any:
        self.setting_up(self.setup_script("failed"))
        self.expect_outcome(FAILURE, "musl could not be unpacked for aarch64")
        self.nothing_set()
        return self.run_step()

    def test_the_script_fails_with_a_kit(self) -> Any:
        self.setting_up(self.setup_script(PREFIX).stderr("sh: 1: syntax error\n").exit(2))
        self.expect_outcome(FAILURE, "the probe failed on the worker: sh: 1: syntax error")
        self.nothing_set()
        return self.run_step()

    def test_it_cannot_be_had(self) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise ToolchainError("musl for aarch64 cannot be had", hint="write `libc: glibc`")

        self.setting_up()
        self.patch(probe_toolchain, "obtain_kit", fail)
        self.expect_outcome(FAILURE, "musl for aarch64 cannot be had")
        self.expect_property("problem", "musl for aarch64 cannot be had (write `libc: glibc`)")
        return self.run_step()

    def test_cancelled_while_it_is_fetched(self) -> Any:
        self.setting_up()
        self.interrupt_when(probe_toolchain, "obtain_kit")
        self.expect_outcome(CANCELLED)
        self.nothing_set()
        return self.run_step()

    def test_cancelled_while_it_is_unpacked(self) -> Any:
        self.setting_up(interrupted(self.setup_script("wanted")))
        self.interrupt_nth_remote_command(0)
        self.expect_outcome(CANCELLED)
        return self.run_step()
