"""Thousands of lying workers where commands end: all do, nothing wrong comes in, nothing piles up."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS
from hostilebed import resident, seeded
from lyingbed import LIMIT, Connection
from stepbed import ActingCase
from twisted.internet import defer
from twisted.internet.error import ConnectionLost

from minios_steps.command_output import CommandOutput
from minios_steps.core.errors import MiniosError
from minios_steps.worker_command import GRACE_SECONDS, MAX_OUTPUT

if TYPE_CHECKING:
    from random import Random

CASES = 4000
GROWTH = 60 << 20
"""Bytes of memory that all cases together may leave behind."""


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
