"""Where commands of a worker that lies end: single lies, and what is said of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.test.fake.logfile import FakeLogFile
from hostilebed import seeded
from lyingbed import LIMIT, Connection
from stepbed import ActingCase
from twisted.internet import defer
from twisted.internet.error import ConnectionLost

from minios_steps.transfer import SLACK
from minios_steps.worker_command import GRACE_SECONDS, LATE, MAX_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable


class Playing(Connection):
    """A connection to a worker that sends what it is told to, and stops when it is asked."""

    def __init__(self, play: Callable[[Any], None]) -> None:
        super().__init__(seeded(0))
        self.play = play

    def remoteStartCommand(self, command: Any, *_: Any) -> Any:  # noqa: N802
        self.command = command
        self.play(command)
        return defer.succeed(None)

    def remoteInterruptCommand(self, *_: Any) -> Any:  # noqa: N802
        self.command.remote_complete(None)
        return defer.succeed(None)


TOO_MUCH = (
    "the worker could not run 'make': it sent more than the 8,388,608 bytes or 1,100 lines of output allowed"
)


class Single(ActingCase):
    """Single lies, and what is said of each."""

    def sending(self, *updates: Any, kind: str = "shell") -> None:
        async def act(step: Any) -> None:
            step.remote = Playing(lambda command: [command.remote_update(one) for one in updates] and None)
            await (step.command(["make"], max_lines=100) if kind == "shell" else step.make_folder("x"))

        self.acting(act)

    async def test_endless_output(self) -> None:
        self.sending(*[[[{"stdout": "y" * 65536 + "\n"}, 0]]] * 200)
        self.expect_outcome(FAILURE, TOO_MUCH)
        await self.run_step()
        assert len(self.log_text("stdio")) < MAX_OUTPUT + 200_000

    async def test_a_file_of_ten_gigabytes(self) -> None:
        """It is cut off long before, and nothing of it stays."""
        block, sent = bytes(1 << 19), []

        def play(command: Any) -> None:
            while command.active and len(sent) < 20_000:
                sent.append(command.args["writer"].remote_write(block))

        async def act(step: Any) -> None:
            step.remote = Playing(play)
            step.worker.lost_because = ""
            with pytest.raises(ConnectionLost):
                await step.upload_file("some", self.folder / "got", limit=LIMIT)
            assert step.worker.lost_because == "sent 4,194,304 bytes of a file more than allowed"

        self.acting(act)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert len(sent) * len(block) <= LIMIT + SLACK + len(block)
        assert self.left("") == []

    def test_endless_lines(self) -> Any:
        self.sending(*[[[{"stderr": "\n" * 1000}, 0]]] * 2)
        self.expect_outcome(FAILURE, TOO_MUCH)
        return self.run_step()

    def test_exit_code_that_is_none(self) -> Any:
        self.sending([[{"rc": 10**30}, 0]], kind="mkdir")
        self.expect_outcome(
            FAILURE, "cannot make the folder 'x' on the worker: it sent an exit code that is none"
        )
        return self.run_step()

    async def test_output_after_the_end(self) -> None:
        made = []

        async def act(step: Any) -> None:
            step.remote = Playing(lambda command: command.remote_complete(None))
            await step.command(["true"])
            made.append(step.remote)

        self.acting(act)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        [line] = made
        for _ in range(LATE):
            line.command.remote_update([[{"stdout": "more\n"}, 0]])
        assert not line.aborted
        line.command.remote_update("nonsense")
        assert line.aborted

    def test_a_line_without_an_end(self) -> Any:
        """Buildbot's log takes whole lines only; one that is long is cut by Buildbot itself."""
        for name in ("add_stdout_lines", "add_stderr_lines"):
            real = getattr(FakeLogFile, name)

            def strict(log: Any, text: str, real: Any = real) -> Any:
                assert text.endswith("\n")
                return real(log, text)

            self.patch(FakeLogFile, name, strict)

        def play(command: Any) -> None:
            command.remote_update([[{"stdout": "a\nb", "stderr": "c" * 10_000, "rc": 0}, 0]])
            command.remote_complete(None)

        async def act(step: Any) -> None:
            step.remote = Playing(play)
            output = await step.command(["cat"], collect=True)
            assert (output.stdout, output.stderr) == ("a\nb", "c" * 10_000)

        self.acting(act)
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_bytes_that_are_no_text(self) -> Any:
        def play(command: Any) -> None:
            command.remote_update([[{"stdout": b"\xff\xfe ok\n", "rc": 0}, 0]])
            command.remote_complete(None)

        async def act(step: Any) -> None:
            step.remote = Playing(play)
            output = await step.command(["cat"], collect=True)
            assert (output.code, output.stdout) == (0, "\ufffd\ufffd ok\n")

        self.acting(act)
        self.expect_outcome(SUCCESS)
        return self.run_step()

    async def test_no_end_is_a_lost_worker(self) -> None:
        """The time limit is the master's own, and the worker's speed counts."""

        async def act(step: Any) -> None:
            step.remote = Playing(lambda _command: None)
            step.worker.lost_because = ""
            start = self.reactor.seconds()
            running = defer.ensureDeferred(step.command(["make"], max_time=100))
            while not running.called:
                self.reactor.advance(1)
            assert self.reactor.seconds() - start == 300 + GRACE_SECONDS
            assert step.worker.lost_because == "did not end its command within 300 s"
            with pytest.raises(ConnectionLost):
                await running

        self.acting(act, timeout_factor=3.0)
        self.expect_outcome(SUCCESS)
        await self.run_step()
