"""`ProbeToolchain`: what the probe says becomes properties, or one line that says what to install."""

from __future__ import annotations

from typing import Any

from archbed import answer, make_arch
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from stepbed import StepCase, interrupted, shell

from minios_steps.core.toolchain import probe_command
from minios_steps.probe_toolchain import ProbeToolchain

CROSS = make_arch()
NATIVE = make_arch(uname=["aarch64", "x86_64"])
"""An arch that the machine of `answer()` runs by itself."""
INSTALL = "on Debian: apt-get install --no-install-recommends gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross"


class Probing(StepCase):
    def probe(self, output: str, *, arch: Any = CROSS, code: int = 0) -> None:
        self.setup_step(ProbeToolchain(arch=arch))
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
        self.setup_step(ProbeToolchain(arch=CROSS))
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
        self.setup_step(ProbeToolchain(arch=CROSS))
        command = shell(list(probe_command(CROSS)), workdir=".", timeout=60, max_lines=2000)
        self.interrupt_nth_remote_command(0)
        self.expect_commands(interrupted(command.stdout(answer()).exit(-1)))
        self.expect_outcome(CANCELLED)
        self.nothing_set()
        return self.run_step()
