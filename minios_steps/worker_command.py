"""Commands on a worker that end, whatever the worker does: with bounds on time, output and form.

Buildbot asks the worker to keep to a command's limits; these are kept by the master. What the
worker sends is checked before Buildbot sees it: types, sizes and the text's encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process import remotecommand
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.spread import pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_OUTPUT = 8 << 20
"""Bytes of output that one command may have; the wordiest compile has one million."""
GRACE_SECONDS = 60.0
"""How long after its own time limit, or after it was told to stop, a command may take to end."""

SLACK = 64 << 20
"""Bytes of output that may come while a command that has too much of it is being stopped."""
LATE = 100
"""Messages that may come after a command has ended; of one that is being stopped there are some."""
MARGIN = 1000
"""Lines that a worker may send after it has counted to the limit, and its own about the command."""

_STREAMS = ("stdout", "stderr", "header")
_LARGEST_CODE = 1 << 31
_LONGEST = 2000


class LyingWorkerError(Exception):
    """The worker sent what no worker sends."""


class _Bounded(remotecommand.RemoteCommand):  # type: ignore[misc]
    """What both kinds of commands share; `bound` must be called before they run.

    `problem` says what was wrong with what the worker sent; empty when nothing was.
    """

    stdout: str
    stderr: str
    logs: dict[str, Any]
    problem = ""
    _limit: Any = None
    _late = 0

    def bound(self, *, seconds: float, max_lines: int = 10_000, max_output: int = MAX_OUTPUT) -> None:
        """Set the bounds.

        Args:
            seconds: how long it may take in all; `GRACE_SECONDS` later the connection is cut, and
                Buildbot gives the build to another worker.
            max_lines: lines of output.
            max_output: bytes of output.
        """
        self._seconds = seconds
        self._lines = max_lines
        self._left = max_output
        self._bound = f"more than the {max_output:,} bytes or {max_lines:,} lines of output allowed"

    def run(self, step: Any, conn: Any, builder_name: str) -> Any:
        """Start it; the Deferred fires when it has ended, in one way or another."""
        self._clock = step.master.reactor
        done = super().run(step, conn, builder_name)
        if not done.called:
            self._cut_after(
                self._seconds + GRACE_SECONDS, f"did not end its command within {self._seconds:.0f} s"
            )
        return done.addBoth(self._ended)

    def remote_update(self, updates: Any) -> int:
        """Take what the worker sends while the command runs; returns the number it wants back."""
        if not self.active:
            self._late += 1
            if self._late > LATE:
                self._abort("went on with a command that had ended")
            return 0
        try:
            for key, value in _updates(updates):
                if self.active and self._accept(key, value):
                    super().remote_update([({key: _text(value)}, 0)])
        except LyingWorkerError as error:
            self._stop(str(error))
        return 0

    def remote_update_msgpack(self, updates: Any) -> None:  # noqa: ARG002
        """A protocol that is not used here."""
        self._stop("updates of another protocol")

    async def remoteComplete(self, maybeFailure: Any) -> None:  # noqa: N803
        """The command has ended; what the worker says of a failure becomes a text."""
        await self._end_lines()
        await super().remoteComplete(_failure(maybeFailure))

    async def _end_lines(self) -> None:
        """Log what has come without the end of its line; Buildbot's own way of it breaks the log."""
        for key, finder in list(self._line_boundary_finders.items()):
            line, finder.partialLine = finder.partialLine, None
            if line:
                await self.remoteUpdate(key, f"{line}\n", False)
                if key in ("stdout", "stderr"):
                    setattr(self, key, getattr(self, key).removesuffix("\n"))

    def interrupt(self, why: Any) -> Any:
        """Tell the worker to stop, but do not wait for ever until it does."""
        if self.active and not _is_loss(why):
            self._cut_after(GRACE_SECONDS, f"did not stop its command within {GRACE_SECONDS:.0f} s")
        return super().interrupt(why)

    def take_output(self) -> tuple[str, str]:
        """What was collected of stdout and stderr; it is kept no longer."""
        taken = self.stdout, self.stderr
        self.stdout = self.stderr = ""
        return taken

    def _accept(self, key: str, value: Any) -> bool:
        """Whether Buildbot is to see an update; raises `LyingWorkerError` where it cannot be one."""
        if key in _STREAMS:
            if not isinstance(value, (str, bytes)):
                raise LyingWorkerError(f"{key} that is no text")
            self._left -= len(value)
            if self._left < -SLACK:
                self.cut(f"sent {SLACK:,} bytes of output more than allowed")
            self._lines -= _text(value).count("\n")
            if min(self._left, self._lines) < 0:
                self._stop(self._bound)
            return not self.problem
        if self.problem:
            return False
        if key == "rc":
            if type(value) is not int or abs(value) >= _LARGEST_CODE:
                raise LyingWorkerError("an exit code that is none")
            return True
        if key == "failure_reason":
            return isinstance(value, str) and len(value) < _LONGEST
        return False

    def _stop(self, problem: str) -> None:
        if self.problem or not self.active:
            return
        self.problem = problem
        self.interrupt(problem)

    def _cut_after(self, seconds: float, why: str) -> None:
        self._after(seconds, self.cut, why)

    def _after(self, seconds: float, function: Callable[[str], None], why: str) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        self._limit = self._clock.callLater(seconds, function, why)

    def cut(self, why: str) -> None:
        """The worker does not do what it is told: its connection is of no use, and ends."""
        if not self.active:
            return
        self._abort(why)
        if self.active:
            # The end of a connection may be told to nobody.
            self._after(1, self._give_up, why)

    def _abort(self, why: str) -> None:
        mind = getattr(self.conn, "mind", None)
        if mind is not None:
            if self.worker is not None:
                self.worker.lost_because = why
            mind.broker.transport.abortConnection()

    def _give_up(self, why: str) -> None:
        if self.active:
            self.problem = self.problem or f"the worker {why}"
            self._finished(None)

    def _ended(self, result: Any) -> Any:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        # A worker may hold on to the command for as long as it is connected; not to the whole build.
        self.step = None
        self.logs = {}
        self.updates.clear()
        self._line_boundary_finders.clear()
        return result


class BoundedCommand(_Bounded):
    """A command that moves a file, or makes or removes a folder.

    Args:
        name: the command's.
        args: its arguments.
        seconds: how long it may take.
    """

    def __init__(self, name: str, args: dict[str, Any], *, seconds: float) -> None:
        super().__init__(name, args, collectStderr=True)
        self.bound(seconds=seconds)


class BoundedShellCommand(remotecommand.RemoteShellCommand, _Bounded):  # type: ignore[misc]
    """A command of the shell.

    Args:
        max_time: seconds; the worker is told so as well.
        max_lines: lines of output; the worker is told so as well.
        **kwargs: Buildbot's own.
    """

    def __init__(self, *, max_time: int, max_lines: int, **kwargs: Any) -> None:
        super().__init__(maxTime=max_time, max_lines=max_lines, **kwargs)
        # The worker's own count is of lines it has sent; ours, which is of all, must not be first.
        self.bound(seconds=max_time, max_lines=max_lines + MARGIN)


def _is_loss(why: Any) -> bool:
    return isinstance(getattr(why, "value", None), ConnectionLost)


def _updates(updates: Any) -> Iterator[tuple[str, Any]]:
    """The keys and values in what a worker sent: a list of pairs of a mapping and a number."""
    if not isinstance(updates, (list, tuple)):
        raise LyingWorkerError("updates that are no list")
    for pair in updates:
        if not isinstance(pair, (list, tuple)) or not pair or not isinstance(pair[0], dict):
            raise LyingWorkerError("an update that is no mapping")
        for key, value in pair[0].items():
            if not isinstance(key, (str, bytes)):
                raise LyingWorkerError("an update without a name")
            yield _text(key), value


def _text(value: Any) -> Any:
    """Bytes as text, whatever they are; all else as it is."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _failure(told: Any) -> Any:
    """Why a command failed: nothing, a text of the worker's, or a failure of the master's own."""
    failure: Any = told if isinstance(told, Failure) else None
    if isinstance(failure, pb.CopiedFailure):
        kind, value = (_text(getattr(failure, name, "")) for name in ("type", "value"))
        told = f"{kind}: {value}" if isinstance(kind, str) and isinstance(value, str) else ""
    elif failure is not None and failure.check(pb.PBConnectionLost, pb.DeadReferenceError):
        return Failure(ConnectionLost())  # type: ignore[no-untyped-call]
    elif failure is not None or told is None:
        return told
    return told[:_LONGEST] if told and isinstance(told, str) else "a failure that says nothing"
