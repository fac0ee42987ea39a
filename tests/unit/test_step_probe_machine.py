"""`ProbeMachine`: what a worker's machine is, from its answers and the bytes that it links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from archbed import answer
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from stepbed import StepCase, interrupted, no_such_file, shell, upload, upload_file
from tinyelf import make_arch, make_elf

from minios_steps.core.machine_probe.script import DYNAMIC, STATIC, links_command
from minios_steps.core.machine_probe.store import ProbeStore
from minios_steps.core.toolchain import compiler_probe_command, probe_command
from minios_steps.probe_machine import PROGRAM_LIMIT, ProbeMachine

if TYPE_CHECKING:
    from minios_steps.core.config.arch import Arch

LOADER = "/lib64/ld-linux-x86-64.so.2"
X86 = make_arch(loader=[LOADER])
GCC = answer(cc="gcc", cc_path="/usr/bin/gcc", target="x86_64-linux-gnu", emulator=None)
NO_GCC = answer(cc="gcc", cc_path=None, cc_v=None, target=None, libc_macros=None)
LINKED = (
    "minios-machine\t1\nuname_a\tLinux vendor\nbyte_order\tlittle\nfull_version\t12.2.0\n"
    f"{STATIC}\tlinked\n{STATIC}-exit\t0\n{DYNAMIC}\tlinked\n{DYNAMIC}-exit\t0\n"
)
NOTHING_LINKED = "minios-machine\t1\n"


class Probing(StepCase):
    def probe(self, *expected: Any, arch: Arch | None = X86, cross_prefix: str = "") -> None:
        """The step, on the worker `fast`, and the commands that it is to send."""
        self.setup_step(
            ProbeMachine(
                arch_name="x86_64",
                arch=arch,
                cross_prefix=cross_prefix,
                attached="then",
                records=self.folder / "probes",
                work_root=self.folder / "work",
            )
        )
        self.set_properties(workername="fast")
        self.expect_commands(*expected)

    def ask(self, output: str = GCC, *, arch: Arch | None = X86, compiler: tuple[str, ...] = ()) -> Any:
        command = probe_command(arch) if arch else compiler
        return shell(list(command), workdir=".", timeout=60, max_lines=2000).stdout(output).exit(0)

    def links(self, output: str = LINKED, *, compiler: str = "gcc", emulator: str = "") -> Any:
        command = list(links_command(compiler, emulator))
        return shell(command, workdir=".", timeout=120, max_time=600, max_lines=2000).stdout(output).exit(0)

    def programs(self, **dynamic: Any) -> tuple[Any, ...]:
        told = {"interpreter": LOADER, **dynamic}
        return tuple(
            upload_file(name, data, limit=PROGRAM_LIMIT, workdir=".")
            for name, data in ((STATIC, make_elf(kind=2)), (DYNAMIC, make_elf(**told)))
        )

    def kept(self) -> Any:
        record = ProbeStore(self.folder / "probes").read("fast")
        assert record
        assert (record.arch, record.attached) == ("x86_64", "then")
        return record.machine

    async def test_passed(self) -> None:
        self.probe(self.ask(), self.links(), *self.programs())
        self.expect_outcome(SUCCESS, "fits arches/x86_64.yaml: x86_64, gcc 12.2.0, x86_64-linux-gnu")
        self.expect_property("verdict", "passed", "machine")
        await self.run_step()
        machine = self.kept()
        assert (machine.static.exit, machine.dynamic.interpreter) == ("0", LOADER)
        assert json.loads(self.log_text("machine"))["machine"]["uname_a"] == "Linux vendor"
        assert self.left("work") == []

    async def test_refused_with_a_table(self) -> None:
        large = GCC.replace("page_size\t4096", "page_size\t65536")
        self.probe(self.ask(large), self.links(), *self.programs(machine=183))
        self.expect_outcome(
            FAILURE, "refused, it is no x86_64: page size: expected at most 4096, found 65536, and 1 more"
        )
        self.expect_property("verdict", "refused", "machine")
        await self.run_step()
        assert self.log_text("refused").splitlines() == [
            "what         expected      found",
            "page size    at most 4096  65536",
            "ELF machine  62 (x86-64)   183 (AArch64)",
        ]
        assert self.kept().page_size == 65536

    async def test_what_is_no_elf_is_a_finding(self) -> None:
        self.probe(
            self.ask(),
            self.links(),
            upload_file(STATIC, b"hello", limit=PROGRAM_LIMIT, workdir="."),
            self.programs()[1],
        )
        self.expect_outcome(
            FAILURE,
            "refused, it is no x86_64: static program: expected linked,"
            " found minios-static: not an ELF file, or a damaged one",
        )
        await self.run_step()
        assert self.kept().static.problem

    async def test_new_arch_on_a_native_machine_with_cc_alone(self) -> None:
        self.probe(
            self.ask(NO_GCC, arch=None, compiler=compiler_probe_command("gcc")),
            self.ask(GCC.replace("\tgcc\n", "\tcc\n"), arch=None, compiler=compiler_probe_command("cc")),
            self.links(compiler="cc"),
            *self.programs(),
            arch=None,
        )
        self.expect_outcome(
            SUCCESS,
            "x86_64, gcc 12.2.0, x86_64-linux-gnu; there is no arches/x86_64.yaml yet",
        )
        self.expect_property("verdict", "no arch file", "machine")
        await self.run_step()
        assert self.kept().compiler == "cc"

    async def test_new_arch_on_a_machine_that_cross_compiles(self) -> None:
        compiler, emulator = "sw_64-sunway-linux-gnu-gcc", "/usr/bin/qemu-sw_64"
        command = compiler_probe_command(compiler, ("qemu-sw_64-static", "qemu-sw_64"))
        told = answer(
            cc=compiler, cc_path=f"/opt/{compiler}", target="sw_64-sunway-linux-gnu", emulator=emulator
        )
        self.probe(
            self.ask(told, arch=None, compiler=command),
            self.links(compiler=compiler, emulator=emulator),
            *self.programs(machine=0x9916),
            arch=None,
            cross_prefix="sw_64-sunway-linux-gnu-",
        )
        self.expect_outcome(SUCCESS)
        await self.run_step()
        machine = self.kept()
        assert (machine.emulator, machine.dynamic.machine) == (emulator, 0x9916)

    async def test_no_compiler(self) -> None:
        self.probe(self.ask(NO_GCC), self.links(NOTHING_LINKED, compiler=""))
        self.expect_outcome(
            FAILURE, "refused, it is no x86_64: compiler: expected gcc, found it is not there"
        )
        await self.run_step()

    async def test_only_one_program(self) -> None:
        said = LINKED.replace(f"{STATIC}\tlinked", f"{STATIC}-problem\tcannot find -lc")
        self.probe(self.ask(), self.links(said), self.programs()[1])
        self.expect_outcome(
            FAILURE, "refused, it is no x86_64: static program: expected linked, found cannot find -lc"
        )
        await self.run_step()

    async def test_script_fails(self) -> None:
        broken = shell(list(probe_command(X86)), workdir=".", timeout=60, max_lines=2000)
        self.probe(broken.stdout("sh: syntax error\n").exit(2))
        self.expect_outcome(FAILURE, "the probe failed on the worker: sh: syntax error")
        self.expect_no_property("verdict")
        await self.run_step()
        assert ProbeStore(self.folder / "probes").read("fast") is None

    async def test_second_script_fails(self) -> None:
        command = list(links_command("gcc"))
        broken = shell(command, workdir=".", timeout=120, max_time=600, max_lines=2000)
        self.probe(self.ask(), broken.update("failure_reason", "timeout_without_output").exit(-1))
        self.expect_outcome(FAILURE, "the machine's probe failed on the worker: it ran into its time limit")
        await self.run_step()

    async def test_other_output(self) -> None:
        self.probe(self.ask(), self.links("hello\n"))
        self.expect_outcome(FAILURE, "the machine's probe did not answer")
        await self.run_step()

    async def test_program_that_is_too_large(self) -> None:
        huge = (
            upload(STATIC, limit=PROGRAM_LIMIT, workdir=".").upload_string(b"x" * (PROGRAM_LIMIT + 1)).exit(0)
        )
        self.probe(self.ask(), self.links(), huge)
        self.expect_outcome(
            FAILURE, "'minios-static' from the worker: larger than the 33,554,432 bytes allowed"
        )
        await self.run_step()
        assert self.left("probes") == self.left("work") == []

    async def test_program_that_is_not_there(self) -> None:
        self.probe(
            self.ask(), self.links(), no_such_file(upload(STATIC, limit=PROGRAM_LIMIT, workdir="."), STATIC)
        )
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.left("probes") == []

    async def test_record_that_cannot_be_kept(self) -> None:
        (self.folder / "probes").write_text("a file", "utf-8")
        self.probe(self.ask(), self.links(), *self.programs())
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert "cannot write" in self.log_text("problem")

    async def test_cancelled_while_it_asks(self) -> None:
        command = shell(list(probe_command(X86)), workdir=".", timeout=60, max_lines=2000)
        self.probe(interrupted(command).exit(-1))
        self.interrupt_nth_remote_command(0)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("verdict")
        await self.run_step()

    async def test_cancelled_while_it_links(self) -> None:
        command = shell(list(links_command("gcc")), workdir=".", timeout=120, max_time=600, max_lines=2000)
        self.probe(self.ask(), interrupted(command).exit(-1))
        self.interrupt_nth_remote_command(1)
        self.expect_outcome(CANCELLED)
        await self.run_step()
        assert self.left("probes") == []
