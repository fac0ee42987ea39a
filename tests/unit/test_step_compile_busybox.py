"""`CompileBusyBox`: make's exact command line, its progress, and the line that says why it failed."""

from __future__ import annotations

from typing import Any

from archbed import make_arch
from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from stepbed import StepCase, interrupted, shell

from minios_steps.compile_busybox import CompileBusyBox
from minios_steps.core.make import make_command, make_environment


def make(
    *,
    jobs: int = 1,
    prefix: str = "",
    epoch: int = 0,
    timeout: int = 600,
    max_time: int = 3600,
    compiler: str | None = None,
) -> Any:
    """The command; `compiler` is the identity of one that is called through ccache."""
    ccache = compiler is not None
    return shell(
        list(make_command(jobs=jobs, arch="aarch64", prefix=prefix, ccache=ccache)),
        env=make_environment(epoch=epoch, ccache=ccache, compiler=compiler or ""),
        timeout=timeout,
        max_time=max_time,
    )


class Compiling(StepCase):
    def compile(self, command: Any, **kwargs: Any) -> Any:
        step = self.setup_step(CompileBusyBox(arch=make_arch(), **kwargs))
        self.expect_commands(command)
        return step

    async def test_counts(self) -> None:
        step = self.compile(
            make()
            .stdout("  HOSTCC  scripts/basic/fixdep\n  CC      applets/applets.o\n  AS      libbb/sha.o\n")
            .stderr("a.c:3:5: warning: unused variable\nb.c:9: warning: old\n")
            .stdout("  CC      shell/ash.o\n  LD      shell/built-in.o\n  AR      shell/lib.a\n")
            .exit(0)
        )
        self.expect_outcome(SUCCESS, "compiled 3 files, 2 warnings, 0 s")
        self.expect_no_property("problem")
        await self.run_step()
        assert step.getStatistics() == {"objects": 3, "warnings": 2, "seconds": 0}

    def test_one_warning(self) -> Any:
        self.compile(make().stderr("a.c:3:5: warning: x\n").exit(0))
        self.expect_outcome(SUCCESS, "compiled 0 files, 1 warning, 0 s")
        return self.run_step()

    def test_properties_of_earlier_steps(self) -> Any:
        self.compile(make(jobs=8, prefix="aarch64-linux-gnu-", epoch=1700000000).exit(0))
        self.set_properties(cores=8, cc_prefix="aarch64-linux-gnu-", epoch=1700000000)
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_ccache_is_told_which_compiler_it_is(self) -> Any:
        self.compile(make(prefix="x-", compiler="gcc 12.2.0").exit(0))
        self.set_properties(ccache=True, cc_prefix="x-", toolchain_identity="gcc 12.2.0")
        self.expect_outcome(SUCCESS)
        return self.run_step()

    async def test_objects_of_an_earlier_build(self) -> None:
        seen: list[str] = []
        step = self.compile(
            make()
            .stdout("  CC      a.o\n")
            .behavior(lambda _command: seen.append(step.getCurrentSummary()["step"]))
            .exit(0)
        )
        self.set_properties(objects_kept=True, objects=500)
        self.expect_outcome(SUCCESS, "compiled 1 files again, 0 warnings, 0 s")
        await self.run_step()
        assert seen == ["compiling, 1 files"]

    def test_arguments_win(self) -> Any:
        self.compile(make(jobs=3, prefix="", epoch=5).exit(0), jobs=Property("asked"), cc_prefix="", epoch=5)
        self.set_properties(asked=3, cores=8, cc_prefix="aarch64-linux-gnu-", epoch=1700000000)
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_slow_cpu(self) -> Any:
        self.compile(make(timeout=2400, max_time=14400).exit(0), timeout_factor=4.0)
        self.expect_outcome(SUCCESS)
        return self.run_step()

    async def test_progress(self) -> None:
        seen: list[str] = []

        def look(_command: Any) -> None:
            seen.append(step.getCurrentSummary()["step"])

        step = self.compile(
            make()
            .behavior(look)
            .stdout("  CC      a.o\n")
            .behavior(look)
            .stdout("  CC      b.o\n  CC      c.o\n")
            .behavior(look)
            .exit(0)
        )
        self.set_properties(objects=2)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert seen == ["compiling 0/2 files", "compiling 1/2 files", "compiling 3/3 files"]

    def test_progress_without_a_total(self) -> Any:
        seen: list[str] = []

        def look(_command: Any) -> None:
            seen.append(step.getCurrentSummary()["step"])

        step = self.compile(make().stdout("  CC      a.o\n").behavior(look).exit(0))
        self.expect_outcome(SUCCESS)
        result = self.run_step()
        assert seen == ["compiling, 1 files"]
        return result


class Failing(StepCase):
    def fails(self, output: str, why: str, *, certain: bool = False) -> Any:
        self.setup_step(CompileBusyBox(arch=make_arch()))
        self.expect_commands(make().stdout("  CC      a.o\n").stderr(output).exit(2))
        self.expect_outcome(FAILURE, f"compile failed: {why}")
        self.expect_build_result_summary({"build": f"compile failed: {why}"})
        self.expect_property("problem", f"compile failed: {why}", "compile")
        if certain:
            self.expect_property("certain", True, "compile")
        else:
            self.expect_no_property("certain")
        return self.run_step()

    def test_first_compiler_error(self) -> Any:
        return self.fails(
            "networking/tc.c: In function 'cbq_print_opt':\n"
            "networking/tc.c:236:27: warning: unused\n"
            "networking/tc.c:237:27: error: 'TCA_CBQ_MAX' undeclared\n"
            "networking/tc.c:240:9: error: another\n"
            "make[1]: *** [scripts/Makefile.build:198: networking/tc.o] Error 1\n",
            "networking/tc.c:237:27: error: 'TCA_CBQ_MAX' undeclared",
            certain=True,
        )

    def test_full_disk_beside_a_linkers_error(self) -> Any:
        why = "ld: libbb/lib.a(pw.o): undefined reference to `crypt'"
        return self.fails(f"{why}\n/build/cc.s: No space left on device\n", why)

    def test_compiler_that_crashes_in_one_of_several_jobs(self) -> Any:
        why = "b.c:1:1: error: real"
        return self.fails(f"{why}\na.c:9:1: internal compiler error: Segmentation fault\n", why)

    def test_name_of_a_file_is_no_signal(self) -> Any:
        told = "procps/killall.c:3: error: unknown type name"
        return self.fails(f"{told}\n", told, certain=True)

    def test_killed_compiler(self) -> Any:
        # The line of make would be there of a wrong source too.
        return self.fails(
            "gcc: fatal error: Killed signal terminated program cc1\n"
            "compilation terminated.\n"
            "make[1]: *** [scripts/Makefile.build:198: a.o] Error 1\n",
            "make[1]: *** [scripts/Makefile.build:198: a.o] Error 1",
        )

    def test_nowhere_to_write(self) -> Any:
        told = "a.c:9: fatal error: error writing to a.s: No space left on device"
        return self.fails(f"{told}\n", told)

    def test_missing_header(self) -> Any:
        return self.fails(
            "libbb/a.c:5:10: fatal error: crypt.h: No such file or directory\n",
            "libbb/a.c:5:10: fatal error: crypt.h: No such file or directory",
        )

    def test_compiler_error_after_makes_own(self) -> Any:
        # With several jobs the lines of one come between those of another.
        told = "b.c:1:1: error: real"
        return self.fails(f"make[1]: *** [x.o] Error 1\n{told}\n", told, certain=True)

    def test_linker(self) -> Any:
        return self.fails(
            "ld: libbb/lib.a(pw.o): undefined reference to `crypt'\n"
            "collect2: error: ld returned 1 exit status\n",
            "ld: libbb/lib.a(pw.o): undefined reference to `crypt'",
            certain=True,
        )

    def test_missing_library(self) -> Any:
        return self.fails("/usr/bin/ld: cannot find -lm\n", "/usr/bin/ld: cannot find -lm")

    def test_missing_compiler(self) -> Any:
        return self.fails(
            "/bin/sh: 1: sw_64-gcc: not found\nmake: *** [Makefile:1] Error 127\n",
            "/bin/sh: 1: sw_64-gcc: not found",
        )

    def test_disk_full(self) -> Any:
        return self.fails(
            "/build/cc.s: No space left on device\nmake: *** [a.o] Error 1\n",
            "/build/cc.s: No space left on device",
        )

    def test_only_make_complains(self) -> Any:
        return self.fails(
            "make: *** No rule to make target 'busybox'.  Stop.\n",
            "make: *** No rule to make target 'busybox'.  Stop.",
        )

    def test_nothing_said(self) -> Any:
        return self.fails("", "make ended with 2")

    def test_endless_line(self) -> Any:
        return self.fails(f"a.c:1:1: error: {'x' * 1000}\n", f"a.c:1:1: error: {'x' * 284}", certain=True)

    def timed_out(self, reason: str) -> Any:
        self.setup_step(CompileBusyBox(arch=make_arch()))
        self.expect_commands(
            make()
            .stdout("  CC      a.o\n  CC      b.o\n")
            .behavior(lambda _command: self.reactor.advance(600))
            .update("failure_reason", reason)
            .exit(-1)
        )
        self.expect_outcome(FAILURE, "compile timed out after 600 s, 2 files done")
        self.expect_property("problem", "compile timed out after 600 s, 2 files done")
        return self.run_step()

    def test_silent_for_too_long(self) -> Any:
        return self.timed_out("timeout_without_output")

    def test_running_for_too_long(self) -> Any:
        return self.timed_out("timeout")

    def test_cancelled(self) -> Any:
        self.setup_step(CompileBusyBox(arch=make_arch()))
        self.interrupt_nth_remote_command(0)
        self.expect_commands(interrupted(make().stderr("make: *** Terminated\n").exit(-1)))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        return self.run_step()
