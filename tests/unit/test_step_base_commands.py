"""`MiniosStep.command`: what a command on the worker is given, and what comes back."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import SUCCESS
from stepbed import ActingCase, shell

from minios_steps.command_output import CommandOutput
from minios_steps.step import CLEAN_ENVIRONMENT


class Commands(ActingCase):
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
