"""`CheckKept`: the same bytes, other bytes, and a clean build that fails."""

from __future__ import annotations

from typing import Any

from archbed import make_arch
from buildbot.process.results import CANCELLED, FAILURE, SKIPPED, SUCCESS, WARNINGS
from stepbed import StepCase, interrupted, shell

from minios_steps.check_kept import CheckKept
from minios_steps.core.clean_check import clean_check_command
from minios_steps.core.make import make_command, make_environment


class Checking(StepCase):
    def check(self, **kwargs: Any) -> None:
        self.setup_step(CheckKept(arch=make_arch(make_arch="arm64"), **kwargs))
        self.set_properties(objects_kept=True, cores=4, cc_prefix="x-", epoch=7, ccache=True)

    def clean_build(self, jobs: int = 4) -> Any:
        make = make_command(jobs=jobs, arch="arm64", prefix="x-", ccache=False)
        return shell(
            list(clean_check_command("arm64", make)),
            workdir="build",
            env=make_environment(epoch=7, ccache=False, compiler=""),
            timeout=600,
        )

    def test_the_same_bytes(self) -> Any:
        self.check()
        self.expect_commands(self.clean_build().stdout("  CC a.o\nminios-check\tsame\n").exit(0))
        self.expect_outcome(SUCCESS, "kept objects gave the bytes of a clean build")
        self.expect_no_property("kept_differs")
        return self.run_step()

    def test_other_bytes_are_told_loudly(self) -> Any:
        self.check(jobs=2)
        self.expect_commands(self.clean_build(2).stdout("minios-check\tdiffers\n").exit(0))
        self.expect_outcome(
            WARNINGS, "KEPT OBJECTS GAVE OTHER BYTES than a clean build, which is used; they are removed"
        )
        self.expect_property("kept_differs", True, "check")
        return self.run_step()

    def test_a_clean_build_needs_no_check(self) -> Any:
        self.check()
        self.set_properties(objects_kept=False)
        self.expect_commands()
        self.expect_outcome(SKIPPED)
        return self.run_step()

    def test_the_clean_build_fails(self) -> Any:
        self.check()
        self.expect_commands(self.clean_build().stderr("a.c:1:1: error: x\n").exit(1))
        what = "a clean build failed where one with kept objects did not: a.c:1:1: error: x"
        self.expect_outcome(FAILURE, what)
        self.expect_property("problem", f"{what} (build again with --force, which keeps nothing)")
        return self.run_step()

    def test_no_answer(self) -> Any:
        self.check()
        self.expect_commands(self.clean_build().stdout("hello\n").exit(0))
        self.expect_outcome(FAILURE, "the worker did not say what the clean build gave")
        return self.run_step()

    def test_cancelled(self) -> Any:
        self.check()
        self.interrupt_nth_remote_command(0)
        self.expect_commands(interrupted(self.clean_build().exit(-1)))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        return self.run_step()
