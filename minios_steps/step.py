"""What every minios step shares: commands, transfers, threads and errors people can read."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from buildbot.process import remotecommand
from buildbot.process.buildstep import BuildStep, BuildStepCancelled
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from twisted.internet import threads

from minios_steps.command_output import CommandOutput, answer_of, plain
from minios_steps.core.errors import MiniosError
from minios_steps.transfer import BoundedFileWriter, BoundedStringWriter, FileStreamReader, StringReader
from minios_steps.worker_command import BoundedCommand, BoundedShellCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

BLOCK_SIZE = 1 << 19
"""Bytes a transfer moves per round trip; more than Twisted's 640 KiB breaks a remote worker's connection."""

FOLDER_SECONDS = 300
"""How long making or removing a folder may take, times `timeout_factor`."""
TRANSFER_SECONDS = 1800
"""How long one file may take, times `timeout_factor`."""

# Whatever the worker was started with must not reach the compiler: the bytes would differ.
CLEAN_ENVIRONMENT: Mapping[str, str | None] = {
    "LC_ALL": "C",
    "TZ": "UTC",
    **dict.fromkeys(
        (
            "ARCH", "CC", "CFLAGS", "CPPFLAGS", "CROSS_COMPILE", "GCC_COLORS", "HOSTCFLAGS",
            "KBUILD_OUTPUT", "KBUILD_VERBOSE", "KCONFIG_ALLCONFIG", "KCONFIG_CONFIG", "LDFLAGS",
            "LD_LIBRARY_PATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "O", "SKIP_STRIP", "STRIP", "V",
        )
    ),
}  # fmt: skip


class MiniosStep(BuildStep):  # type: ignore[misc]
    """A step that fails with one clear line.

    A subclass implements `work()`; a `MiniosError` raised there becomes a FAILURE whose
    summary is the error's first line, kept in the build property `problem`; where the same
    inputs would fail again, the property `certain` (true) says so.

    Args:
        timeout_factor: multiplies every time limit (slow CPUs).
        **kwargs: Buildbot's own step arguments.
    """

    name = "minios"
    haltOnFailure = True
    flunkOnFailure = True
    renderables: tuple[str, ...] = ("timeout_factor",)
    default_workdir: str | None = None

    def __init__(self, *, timeout_factor: float = 1.0, **kwargs: Any) -> None:
        if self.default_workdir is not None:
            kwargs.setdefault("workdir", self.default_workdir)
        super().__init__(**kwargs)
        self.timeout_factor = timeout_factor
        self.summary = ""
        self._cancelled = threading.Event()

    async def work(self) -> int:
        """Do the step's work; returns a Buildbot result."""
        raise NotImplementedError

    async def run(self) -> int:
        """Run `work()` and turn what it raises into a result and a summary."""
        try:
            result = await self.work()
        except MiniosError as error:
            if self.stopped:
                raise BuildStepCancelled from error
            await self.tell_problem(error)
            return int(FAILURE)
        self.raise_if_stopped()
        return result

    async def tell_problem(self, error: MiniosError) -> None:
        """Put an error where people look: the summary, a log and the properties."""
        self.summary = error.what
        self.setProperty("problem", str(error), self.name)
        if error.certain:
            self.setProperty("certain", True, self.name)
        lines = [part for part in (str(error), error.details) if part]
        await self.addCompleteLog("problem", "\n".join(lines) + "\n")

    def raise_if_stopped(self) -> None:
        """Raise Buildbot's own signal when someone cancelled the step."""
        if self.stopped:
            raise BuildStepCancelled

    def interrupt(self, reason: Any) -> Any:
        """Stop: threads see `cancelled()`, commands on the worker are killed by Buildbot."""
        self._cancelled.set()
        return super().interrupt(reason)

    def cancelled(self) -> bool:
        """Whether someone cancelled the step; safe to call from a thread."""
        return self._cancelled.is_set()

    def getCurrentSummary(self) -> dict[str, str]:
        """What the web shows while the step runs."""
        return {"step": self.summary or f"{self.name}: running"}

    def getResultSummary(self) -> dict[str, str]:
        """What the web shows when the step has ended."""
        # Of a step that was cancelled or crashed, the summary is of what it was about to do.
        ended = self.results in (SUCCESS, WARNINGS, FAILURE)
        return {"step": self.summary} if self.summary and ended else super().getResultSummary()

    def getBuildResultSummary(self) -> dict[str, str]:
        """A failing step explains the whole build."""
        return {"build": self.summary} if self.results == FAILURE and self.summary else {}

    def tell(self, summary: str) -> None:
        """Set the one-line summary and show it at once."""
        self.summary = summary
        self.updateSummary()

    def scratch(self, work_root: Path, *, fresh: bool = False) -> Path:
        """The master's folder for this build's files; `fresh` empties it first.

        Its name is the builder's and the worker's, which never run two builds at once, so
        what failed builds leave behind stays bounded. Sets the property `cell_dir`.
        """
        folder = work_root / f"{self.build.builder.name}-{self.getProperty('workername', 'worker')}"
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        if self.getProperty("cell_dir", "") != str(folder):
            self.setProperty("cell_dir", str(folder), self.name)
        return folder

    async def in_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run blocking code away from the reactor; errors come back as they were raised."""
        reactor = self.master.reactor
        pool = reactor.getThreadPool()
        result: T = await threads.deferToThreadPool(reactor, pool, function, *args, **kwargs)
        self.raise_if_stopped()
        return result

    async def command(
        self,
        command: Sequence[str] | str,
        *,
        log: str = "stdio",
        env: Mapping[str, str | None] | None = None,
        timeout: int = 300,
        max_time: int = 3600,
        max_lines: int = 200_000,
        collect: bool = False,
        workdir: str | None = None,
    ) -> CommandOutput:
        """Run a command on the worker and wait for it.

        Args:
            command: a list, or text for the worker's `sh`.
            log: the log its output goes to.
            env: added to a clean environment; `None` unsets a variable.
            timeout: seconds without output before it is killed, times `timeout_factor`.
            max_time: seconds in all, times `timeout_factor`.
            max_lines: lines of output before it is killed: a log must not fill the master.
            collect: also return the output.
            workdir: relative to the builder's folder on the worker.
        """
        stream = self.logs.get(log) or await self.addLog(log)
        remote = BoundedShellCommand(
            workdir=workdir or self.workdir,
            command=list(command) if not isinstance(command, str) else command,
            env={**CLEAN_ENVIRONMENT, **(env or {})},
            timeout=int(timeout * self.timeout_factor),
            max_time=int(max_time * self.timeout_factor),
            max_lines=max_lines,
            sigtermTime=5,
            usePTY=False,
            logEnviron=False,
            collectStdout=collect,
            collectStderr=collect,
        )
        remote.useLog(stream, False, "stdio")
        words = command.split() if isinstance(command, str) else command
        await self._run_remote(remote, f"the worker could not run {words[0]!r}")
        stdout, stderr = remote.take_output()
        return CommandOutput(
            code=remote.rc if remote.rc is not None else -1,
            stdout=stdout,
            stderr=stderr,
            timed_out=remote.remote_failure_reason in ("timeout", "timeout_without_output"),
        )

    async def remove_folder(self, folder: str) -> None:
        """Remove a folder on the worker, relative to the builder's own."""
        seconds = int(FOLDER_SECONDS * self.timeout_factor)
        args = {"dir": folder, "logEnviron": False, "timeout": seconds}
        remote = BoundedCommand("rmdir", args, seconds=seconds)
        await self._run_plain(remote, f"cannot remove {folder!r} on the worker")

    async def make_folder(self, folder: str) -> None:
        """Make a folder on the worker, relative to the builder's own."""
        seconds = int(FOLDER_SECONDS * self.timeout_factor)
        remote = BoundedCommand("mkdir", {"dir": folder, "logEnviron": False}, seconds=seconds)
        await self._run_plain(remote, f"cannot make the folder {folder!r} on the worker")

    async def upload_text(self, path: str, *, limit: int) -> str:
        """Read a text file of the worker; raises `MiniosError` when it is missing or over `limit` bytes."""
        writer = BoundedStringWriter(limit)
        await self._upload(path, writer, limit)
        return writer.take_text()

    async def upload_file(self, path: str, destination: Path, *, limit: int) -> None:
        """Copy a file from the worker; nothing is left at `destination` when it fails."""
        writer = BoundedFileWriter(destination, limit)
        try:
            await self._upload(path, writer, limit)
            writer.commit()
        except BaseException:
            writer.discard()
            raise

    async def download_text(self, text: str, path: str) -> None:
        """Write a text file on the worker."""
        await self._download(StringReader(text.encode()), path)

    async def download_file(self, source: Path, path: str) -> None:
        """Copy a file of the master to the worker."""
        with source.open("rb") as stream:
            await self._download(FileStreamReader(stream), path)

    async def _upload(self, path: str, writer: Any, limit: int) -> None:
        args = {
            "workdir": self.workdir,
            "workersrc": path,
            "writer": writer,
            "maxsize": limit + 1,
            "blocksize": BLOCK_SIZE,
        }
        remote = BoundedCommand("uploadFile", args, seconds=TRANSFER_SECONDS * self.timeout_factor)
        writer.cut = remote.cut
        problem = f"the worker could not send {path!r}"
        await self._run_remote(remote, problem)
        if writer.problem:
            raise MiniosError(f"{path!r} from the worker: {writer.problem}")
        if remote.didFail():
            raise MiniosError(f"{problem}: {answer_of(remote)}")
        if not writer.closed:
            raise MiniosError(f"{problem}: it said that all is sent, but never ended the file")

    async def _download(self, reader: Any, path: str) -> None:
        args = {
            "workdir": self.workdir,
            "workerdest": path,
            "reader": reader,
            "maxsize": None,
            "blocksize": BLOCK_SIZE,
            "mode": None,
        }
        remote = BoundedCommand("downloadFile", args, seconds=TRANSFER_SECONDS * self.timeout_factor)
        await self._run_plain(remote, f"the worker could not write {path!r}")

    async def _run_plain(self, remote: Any, problem: str) -> None:
        await self._run_remote(remote, problem)
        if remote.didFail():
            raise MiniosError(f"{problem}: {answer_of(remote)}", hint="is its disk full?")

    async def _run_remote(self, remote: Any, problem: str) -> None:
        """Run a command that the worker may end with an exception, as it does when its disk is full."""
        try:
            await self.runCommand(remote)
        except (remotecommand.RemoteException, OSError) as error:
            self.raise_if_stopped()
            told = str(error).partition("\n")[0]
            if isinstance(error, remotecommand.RemoteException):  # "NAME OF THE EXCEPTION: what"
                told = told.partition(": ")[2] or told
            raise MiniosError(f"{problem}: {plain(told)[:200]}", details=str(error)) from error
        self.raise_if_stopped()
        if remote.problem:
            raise MiniosError(f"{problem}: it sent {remote.problem}")
