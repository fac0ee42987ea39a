"""Thousands of lying workers where commands end: all do, nothing wrong comes in, nothing piles up."""

from __future__ import annotations

import collections
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.test.fake.logfile import FakeLogFile
from hostilebed import HANG_UP, Liar, resident, seeded
from stepbed import ActingCase
from twisted.internet import defer
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from minios_steps.command_output import CommandOutput
from minios_steps.core.errors import MiniosError
from minios_steps.transfer import SLACK
from minios_steps.worker_command import GRACE_SECONDS, LATE, MAX_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

CASES = 4000
LIMIT = 1 << 20
"""Bytes an upload may have."""
GROWTH = 60 << 20
"""Bytes of memory that all cases together may leave behind."""


class Connection:
    """A connection to a worker that lies.

    `sent` is what it has written to a file of the master, as far as that was written in order.
    """

    is_fake_test_connection = True

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.mind = SimpleNamespace(broker=SimpleNamespace(transport=self))
        self.how = ""
        self.command: Any = None
        self.interrupted = False
        self.aborted = False
        self.closed = False
        self.completed = False
        self.sent = b""

    def remoteStartCommand(self, command: Any, *_: Any) -> Any:  # noqa: N802
        self.command = command
        self.how = Liar(self.dice, self.tell).play()
        if self.how == HANG_UP:
            self.abortConnection()
        return defer.succeed(None)

    def remoteInterruptCommand(self, *_: Any) -> Any:  # noqa: N802
        self.interrupted = True
        return defer.succeed(None)

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True
        self.command.interrupt(Failure(ConnectionLost()))

    def tell(self, what: str, method: str, *args: Any) -> None:
        target = self.command if what == "command" else self.command.args.get(what)
        function = getattr(target, f"remote_{method}", None)
        if function is None:
            return
        try:
            function(*args)
        except Exception:  # noqa: BLE001  # Perspective Broker sends it back
            return
        if (what, method) == ("writer", "write") and isinstance(args[0], (str, bytes)) and not self.closed:
            self.sent += args[0].encode() if isinstance(args[0], str) else args[0]
        self.closed = self.closed or (what, method) == ("writer", "close")
        self.completed = self.completed or method == "complete"


class Lying(ActingCase):
    """All cases in one step; Buildbot's reactor is a clock."""

    def test_thousands_of_lies(self) -> Any:
        self.ends: collections.Counter[str] = collections.Counter()

        async def act(step: Any) -> None:
            before = 0
            for seed in range(CASES):
                await self.one(step, seeded(seed), seed % 5)
                if seed == CASES // 4:
                    before = resident()
            assert resident() - before < GROWTH

        self.acting(act)
        self.expect_outcome(SUCCESS)
        return self.run_step().addCallback(self.judge)

    def judge(self, _: Any) -> None:
        assert sum(self.ends.values()) == CASES
        assert min(self.ends.values()) > CASES // 100, self.ends
        assert self.left("") == []
        self.flushLoggedErrors()

    async def one(self, step: Any, dice: Random, kind: int) -> None:
        step.remote = connection = Connection(dice)
        start = self.reactor.seconds()
        running = defer.ensureDeferred(self.operation(step, kind))
        while not running.called:
            self.reactor.advance(10)
            assert self.reactor.seconds() - start < 1900 + 3 * GRACE_SECONDS, "it does not end"
        try:
            result = await running
        except MiniosError as error:
            self.check_line(error.what)
            self.ends["refused"] += 1
        except ConnectionLost:
            assert connection.aborted
            self.ends["lost"] += 1
        else:
            assert connection.completed
            self.check(result, connection)
            self.ends["taken"] += 1
        assert connection.completed or connection.aborted
        # What comes after the end changes nothing.
        connection.tell("command", "update", [[{"stdout": "late\n", "rc": 7}, 0]])
        connection.tell("writer", "write", b"late")
        connection.tell("command", "complete", None)
        # The next case is another build, with logs of its own.
        step.logs.clear()
        step.cmd = None

    def check_line(self, line: str) -> None:
        assert line.isprintable()
        assert len(line) < 500

    async def operation(self, step: Any, kind: int) -> Any:
        if kind == 0:
            return await step.command(["true"], collect=True, timeout=60, max_time=600)
        if kind == 1:
            return await step.upload_text("some", limit=LIMIT)
        if kind == 2:
            await step.upload_file("some", self.folder / "got", limit=LIMIT)
            data = (self.folder / "got").read_bytes()
            (self.folder / "got").unlink()
            return data
        if kind == 3:
            return await step.download_text("text" * 1000, "there")
        return await step.make_folder("build")

    def check(self, result: Any, connection: Connection) -> None:
        if isinstance(result, CommandOutput):
            assert isinstance(result.code, int)
            assert len(result.stdout) + len(result.stderr) <= 2 * MAX_OUTPUT
            assert result.last_line.isprintable()
        if isinstance(result, (bytes, str)):
            assert connection.closed
            told = result if isinstance(result, bytes) else result.encode()
            assert len(connection.sent) <= LIMIT
            assert told == connection.sent.decode("utf-8", "replace").encode() or told == connection.sent


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
