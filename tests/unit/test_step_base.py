"""`MiniosStep`: results, summaries, commands, transfers and threads of every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, RETRY, SUCCESS, WARNINGS
from stepbed import (
    StepCase,
    disk_full,
    download,
    interrupted,
    make_folder,
    no_such_file,
    remove_folder,
    shell,
    upload,
    upload_file,
    upload_text,
)
from twisted.internet import error

from minios_steps.core.errors import MiniosError, SourceError
from minios_steps.step import CLEAN_ENVIRONMENT, CommandOutput, MiniosStep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Acting(MiniosStep):
    """A step whose work is a function of the test."""

    name = "acting"
    default_workdir = "build/src"

    def __init__(self, act: Callable[[Any], Awaitable[int | None]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.act = act

    async def work(self) -> int:
        result = await self.act(self)
        return SUCCESS if result is None else result


class BaseCase(StepCase):
    def acting(self, act: Callable[[Any], Awaitable[int | None]], **kwargs: Any) -> Any:
        return self.setup_step(Acting(act, **kwargs))


class Results(BaseCase):
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

        assert Acting(act).workdir == "build/src"
        assert Acting(act, workdir="elsewhere").workdir == "elsewhere"


class Cancelling(BaseCase):
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


class Threads(BaseCase):
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


class Commands(BaseCase):
    def outputs(self, *calls: tuple[Any, dict[str, Any]], **kwargs: Any) -> list[CommandOutput]:
        found: list[CommandOutput] = []

        async def act(step: Any) -> None:
            for command, options in calls:
                found.append(await step.command(command, **options))

        self.acting(act, **kwargs)
        self.expect_outcome(SUCCESS)
        return found

    async def test_collected(self) -> None:
        found = self.outputs((("cc", "-v"), {"collect": True}))
        self.expect_commands(shell(["cc", "-v"]).stdout("one\ntwo\n").stderr("cc: error\n").exit(3))
        await self.run_step()
        assert found == [CommandOutput(3, "one\ntwo\n", "cc: error\n", timed_out=False)]
        assert found[0].last_line == "cc: error"

    async def test_not_collected(self) -> None:
        found = self.outputs((["make"], {}))
        self.expect_commands(shell(["make"]).stdout("  CC      a.o\n").exit(0))
        self.expect_log_file("stdio", "  CC      a.o\n")
        await self.run_step()
        assert found == [CommandOutput(0, "", "", timed_out=False)]
        assert found[0].last_line == "it printed nothing"

    def test_environment(self) -> Any:
        self.outputs(("echo $V", {"env": {"V": "1", "TZ": None}}))
        self.expect_commands(shell("echo $V", env={**CLEAN_ENVIRONMENT, "V": "1", "TZ": None}).exit(0))
        return self.run_step()

    def test_limits(self) -> Any:
        self.outputs(
            (["make"], {"timeout": 10, "max_time": 20, "max_lines": 30, "workdir": "other"}),
            timeout_factor=2.5,
        )
        self.expect_commands(shell(["make"], timeout=25, max_time=50, max_lines=30, workdir="other").exit(0))
        return self.run_step()

    def test_logs(self) -> Any:
        self.outputs((["one"], {}), (["two"], {"log": "second"}), (["three"], {}))
        self.expect_commands(
            shell(["one"]).stdout("1\n").exit(0),
            shell(["two"]).stdout("2\n").exit(0),
            shell(["three"]).stdout("3\n").exit(0),
        )
        self.expect_log_file("stdio", "1\n3\n")
        self.expect_log_file("second", "2\n")
        return self.run_step()

    async def test_no_exit_code(self) -> None:
        found = self.outputs((["true"], {}))
        self.expect_commands(shell(["true"]))
        await self.run_step()
        assert found[0].code == -1

    async def test_time_limits(self) -> None:
        found = self.outputs(*[(["make"], {"collect": True})] * 3)
        self.expect_commands(
            shell(["make"]).stdout("x\n").update("failure_reason", "timeout").exit(-1),
            shell(["make"]).update("failure_reason", "timeout_without_output").exit(-1),
            shell(["make"]).stdout("x\n").update("failure_reason", "max_lines_failure").exit(-1),
        )
        await self.run_step()
        assert [output.timed_out for output in found] == [True, True, False]
        assert [output.last_line for output in found] == [*["it ran into its time limit"] * 2, "x"]

    def test_long_last_line(self) -> None:
        output = CommandOutput(1, f"first\n {'x' * 300}\n\n", " \n", timed_out=False)
        assert output.last_line == "x" * 200


class Folders(BaseCase):
    def test_done(self) -> Any:
        async def act(step: Any) -> None:
            await step.remove_folder("build")
            await step.make_folder("build/src")

        self.acting(act)
        self.expect_commands(remove_folder("build"), make_folder("build/src"))
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_not_removed(self) -> Any:
        async def act(step: Any) -> None:
            await step.remove_folder("build")

        self.acting(act)
        self.expect_commands(remove_folder("build").stderr("rm: 'x': Permission denied\n").exit(1))
        self.expect_outcome(FAILURE, "cannot remove 'build' on the worker: rm: 'x': Permission denied")
        return self.run_step()

    def test_not_made(self) -> Any:
        async def act(step: Any) -> None:
            await step.make_folder("build")

        self.acting(act)
        self.expect_commands(make_folder("build").exit(28))
        self.expect_outcome(FAILURE, "cannot make the folder 'build' on the worker: No space left on device")
        self.expect_property(
            "problem",
            "cannot make the folder 'build' on the worker: No space left on device (is its disk full?)",
        )
        return self.run_step()


class Uploads(BaseCase):
    def file(self, *commands: Any) -> None:
        async def act(step: Any) -> None:
            await step.upload_file("a.tar", self.folder / "got" / "a.tar", limit=10)

        self.acting(act)
        self.expect_commands(*commands)

    @property
    def got(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "got").iterdir()}

    def test_text(self) -> Any:
        async def act(step: Any) -> None:
            assert await step.upload_text(".config", limit=20) == "CONFIG_A=y\n# \ufffd\n"

        self.acting(act)
        self.expect_commands(upload_text(".config", b"CONFIG_A=y\n# \xff\n", limit=20))
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_no_such_text(self) -> Any:
        async def act(step: Any) -> None:
            await step.upload_text(".config", limit=20)

        self.acting(act)
        self.expect_commands(no_such_file(upload(".config", limit=20, text=True), "/w/.config"))
        self.expect_outcome(
            FAILURE, "the worker could not send '.config': Cannot open file '/w/.config' for upload"
        )
        return self.run_step()

    def test_text_over_the_limit(self) -> Any:
        async def act(step: Any) -> None:
            await step.upload_text(".config", limit=1000)

        self.acting(act)
        self.expect_commands(upload_text(".config", "x" * 1001, limit=1000))
        self.expect_outcome(FAILURE, "'.config' from the worker: larger than the 1,000 bytes allowed")
        return self.run_step()

    async def test_file(self) -> None:
        self.file(upload_file("a.tar", b"0123456789", limit=10))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.got == {"a.tar": b"0123456789"}

    async def test_file_over_the_limit(self) -> None:
        self.file(upload_file("a.tar", b"0123456789+", limit=10))
        self.expect_outcome(FAILURE, "'a.tar' from the worker: larger than the 10 bytes allowed")
        await self.run_step()
        assert self.got == {}

    async def test_no_such_file(self) -> None:
        self.file(no_such_file(upload("a.tar", limit=10), "/w/a.tar"))
        self.expect_outcome(
            FAILURE, "the worker could not send 'a.tar': Cannot open file '/w/a.tar' for upload"
        )
        await self.run_step()
        assert self.got == {}

    async def test_silent_failure(self) -> None:
        self.file(upload("a.tar", limit=10).exit(5))
        self.expect_outcome(FAILURE, "the worker could not send 'a.tar': exit 5")
        await self.run_step()
        assert self.got == {}

    async def test_never_ended(self) -> None:
        self.file(upload("a.tar", limit=10).exit(0))
        self.expect_outcome(
            FAILURE,
            "the worker could not send 'a.tar': it said that all is sent, but never ended the file",
        )
        await self.run_step()
        assert self.got == {}

    async def test_read_error_in_the_middle(self) -> None:
        self.file(upload("a.tar", limit=10).upload_string(b"01234").error(OSError(5, "Input/output error")))
        self.expect_outcome(FAILURE, "the worker could not send 'a.tar': [Errno 5] Input/output error")
        await self.run_step()
        assert self.got == {}

    async def test_cancelled_in_the_middle(self) -> None:
        (self.folder / "got").mkdir()
        (self.folder / "got" / "a.tar").write_bytes(b"older")
        self.file(interrupted(upload("a.tar", limit=10).upload_string(b"01234").exit(1)))
        self.interrupt_nth_remote_command(0)
        self.expect_outcome(CANCELLED)
        await self.run_step()
        assert self.got == {"a.tar": b"older"}


class Downloads(BaseCase):
    async def test_text(self) -> None:
        got: list[bytes] = []

        async def act(step: Any) -> None:
            await step.download_text("gr\u00fc\u00dfe\n", "notes")

        self.acting(act)
        self.expect_commands(download("notes", text=True, into=got.append))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert got == ["gr\u00fc\u00dfe\n".encode()]

    async def test_file(self) -> None:
        got: list[bytes] = []
        source = self.folder / "source"
        source.write_bytes(bytes(range(256)))

        async def act(step: Any) -> None:
            await step.download_file(source, "source.tar.gz")

        self.acting(act)
        self.expect_commands(download("source.tar.gz", text=False, into=got.append))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert got == [bytes(range(256))]

    def test_refused(self) -> Any:
        async def act(step: Any) -> None:
            await step.download_text("text", "notes")

        self.acting(act)
        self.expect_commands(
            download("notes", text=True).stderr("Cannot open file '/w/notes' for download").exit(1)
        )
        self.expect_outcome(
            FAILURE, "the worker could not write 'notes': Cannot open file '/w/notes' for download"
        )
        return self.run_step()

    def test_disk_full(self) -> Any:
        async def act(step: Any) -> None:
            await step.download_text("text", "notes")

        self.acting(act)
        self.expect_commands(disk_full(download("notes", text=True)))
        self.expect_outcome(
            FAILURE,
            "the worker could not write 'notes': builtins.OSError: [Errno 28] No space left on device",
        )
        return self.run_step()

    def test_disk_of_a_local_worker_full(self) -> Any:
        async def act(step: Any) -> None:
            await step.download_text("text", "notes")

        self.acting(act)
        self.expect_commands(download("notes", text=True).error(OSError(28, "No space left on device")))
        self.expect_outcome(FAILURE, "the worker could not write 'notes': [Errno 28] No space left on device")
        return self.run_step()


class Scratch(BaseCase):
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
