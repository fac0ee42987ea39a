"""`MiniosStep`: results, summaries, cancelling and threads of every step."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, RETRY, SUCCESS, WARNINGS
from stepbed import Acting, ActingCase, disk_full, download, interrupted, make_folder, remove_folder, shell
from twisted.internet import error

from minios_steps.core.errors import MiniosError, SourceError


class Results(ActingCase):
    def test_what_work_says(self) -> Any:
        async def act(step: Any) -> int:
            step.tell("half of it done")
            assert step.getCurrentSummary() == {"step": "half of it done"}
            return int(WARNINGS)

        self.acting(act)
        self.expect_outcome(WARNINGS, "half of it done")
        self.expect_build_result_summary({})
        return self.run_step()

    def test_nothing_told(self) -> Any:
        async def act(step: Any) -> None:
            assert step.getCurrentSummary() == {"step": "acting: running"}

        self.acting(act)
        self.expect_outcome(SUCCESS, "finished")
        self.expect_no_property("problem")
        return self.run_step()

    def test_error_for_people(self) -> Any:
        async def act(step: Any) -> None:
            step.tell("trying")
            raise SourceError("no mirror has it", hint="add one", details="a: 404\nb: 500")

        self.acting(act)
        self.expect_outcome(FAILURE, "no mirror has it")
        self.expect_build_result_summary({"build": "no mirror has it"})
        self.expect_property("problem", "no mirror has it (add one)", "acting")
        self.expect_log_file("problem", "no mirror has it (add one)\na: 404\nb: 500\n")
        return self.run_step()

    def test_error_without_details(self) -> Any:
        async def act(_step: Any) -> None:
            raise MiniosError("wrong")

        self.acting(act)
        self.expect_outcome(FAILURE, "wrong")
        self.expect_log_file("problem", "wrong\n")
        return self.run_step()

    async def test_bug(self) -> None:
        async def act(step: Any) -> None:
            step.tell("about to divide")
            raise ZeroDivisionError

        self.acting(act)
        self.expect_outcome(EXCEPTION, "finished (exception)")
        self.expect_no_property("problem")
        await self.run_step()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    def test_worker_cannot_start_a_command(self) -> Any:
        """As when its disk is full: the one line that tells, and no crash of the step."""

        async def act(step: Any) -> None:
            await step.command(["true"])

        self.acting(act)
        self.expect_commands(disk_full(shell(["true"])))
        told = "the worker could not run 'true': [Errno 28] No space left on device"
        self.expect_outcome(FAILURE, told)
        return self.run_step()

    def test_lost_worker(self) -> Any:
        async def act(step: Any) -> None:
            await step.command(["true"])

        self.acting(act)
        self.expect_commands(shell(["true"]).error(error.ConnectionLost()))
        self.expect_outcome(RETRY)
        self.expect_no_property("problem")
        return self.run_step()

    def test_workdir(self) -> None:
        async def act(_step: Any) -> None: ...

        assert Acting(act).workdir == "build/obj"
        assert Acting(act, workdir="elsewhere").workdir == "elsewhere"


class Cancelling(ActingCase):
    def test_in_a_command(self) -> Any:
        async def act(step: Any) -> None:
            step.tell("sleeping")
            await step.command(["sleep", "9"])
            raise AssertionError("not reached")

        self.acting(act)
        self.interrupt_nth_remote_command(0)
        self.expect_commands(interrupted(shell(["sleep", "9"]).exit(-1)))
        self.expect_outcome(CANCELLED, "finished (cancelled)")
        self.expect_log_file("cancelled", "interrupt reason")
        self.expect_no_property("problem")
        return self.run_step()

    def test_in_a_plain_command(self) -> Any:
        async def act(step: Any) -> None:
            await step.remove_folder("build")
            await step.make_folder("build")

        self.acting(act)
        self.interrupt_nth_remote_command(1)
        self.expect_commands(remove_folder("build"), interrupted(make_folder("build")))
        self.expect_outcome(CANCELLED)
        return self.run_step()

    def test_worker_ends_the_command_with_an_exception(self) -> Any:
        async def act(step: Any) -> None:
            await step.download_text("text", "file")

        self.acting(act)
        self.interrupt_nth_remote_command(0)
        self.expect_commands(interrupted(disk_full(download("file", text=True))))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        return self.run_step()

    def test_in_a_thread(self) -> Any:
        seen = []

        async def act(step: Any) -> None:
            def work() -> None:
                seen.append(step.cancelled())
                step.interrupt("stop")
                seen.append(step.cancelled())

            await step.in_thread(work)
            raise AssertionError("not reached")

        self.acting(act)
        self.expect_outcome(CANCELLED, "finished (cancelled)")
        result = self.run_step()
        assert seen == [False, True]
        return result

    def test_thread_that_gives_up(self) -> Any:
        async def act(step: Any) -> None:
            def work() -> None:
                step.interrupt("stop")
                raise SourceError("cancelled")

            await step.in_thread(work)

        self.acting(act)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        return self.run_step()

    def test_no_command_is_sent_afterwards(self) -> Any:
        async def act(step: Any) -> None:
            step.interrupt("stop")
            await step.command(["true"])

        self.acting(act)
        self.expect_outcome(CANCELLED)
        return self.run_step()

    def test_at_the_very_end(self) -> Any:
        async def act(step: Any) -> None:
            step.interrupt("stop")

        self.acting(act)
        self.expect_outcome(CANCELLED)
        return self.run_step()


class Threads(ActingCase):
    def test_result_and_arguments(self) -> Any:
        async def act(step: Any) -> None:
            assert await step.in_thread(divmod, 7, 2) == (3, 1)

        self.acting(act)
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_error(self) -> Any:
        async def act(step: Any) -> None:
            def work() -> None:
                raise MiniosError("disk full")

            await step.in_thread(work)

        self.acting(act)
        self.expect_outcome(FAILURE, "disk full")
        return self.run_step()


class Scratch(ActingCase):
    async def test_folder(self) -> None:
        folder = self.folder / "work" / "Builder-linux"
        (folder / "old").mkdir(parents=True)

        async def act(step: Any) -> None:
            assert step.scratch(self.folder / "work") == folder
            assert (folder / "old").exists()
            assert step.scratch(self.folder / "work", fresh=True) == folder

        self.acting(act)
        self.set_properties(workername="linux")
        self.expect_outcome(SUCCESS)
        self.expect_property("cell_dir", str(folder), "acting")
        await self.run_step()
        assert list(folder.iterdir()) == []
