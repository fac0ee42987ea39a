"""What the unit tests of the steps share: a fake worker that expects commands in order.

Buildbot's own test bed (`buildbot.test.steps`) checks each command's exact arguments.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.db.model import Model
from buildbot.process.remotecommand import RemoteException
from buildbot.process.results import SUCCESS
from buildbot.test.reactor import TestReactorMixin
from buildbot.test.steps import (
    ExpectDownloadFile,
    ExpectMkdir,
    ExpectRemoteRef,
    ExpectRmdir,
    ExpectShell,
    ExpectUploadFile,
    TestBuildStepMixin,
)
from twisted.internet import defer
from twisted.trial import unittest

from minios_steps.step import BLOCK_SIZE, CLEAN_ENVIRONMENT, MiniosStep
from minios_steps.transfer import BoundedFileWriter, BoundedStringWriter, FileStreamReader, StringReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


_tables = sqlite3.connect(":memory:", check_same_thread=False)


def make_tables(model: Model) -> Any:
    """Stands in for `Model.upgrade`, which takes most of a test's time: tables made once are copied."""

    def copy(connection: Any) -> None:
        database = connection.connection.dbapi_connection
        if _tables.execute("SELECT 1 FROM sqlite_master").fetchone():
            _tables.backup(database)
        else:
            model.metadata.create_all(connection)
            connection.commit()
            database.backup(_tables)

    return model.db.pool.do(copy)


class StepCase(TestBuildStepMixin, TestReactorMixin, unittest.TestCase):
    """One step on a fake worker; a subclass calls `self.setup_step(...)` and `self.run_step()`.

    `folder` is empty, and gone when the test ends; the fake master makes its own below it.
    """

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.folder = Path(tempfile.mkdtemp(prefix="minios-step-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder)
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        yield self.setup_test_build_step()
        self.setup_build()

    def set_properties(self, **properties: Any) -> None:
        """Give the build properties; call it after `setup_step`."""
        for name, value in properties.items():
            self.build.setProperty(name, value, "test")

    def property(self, name: str) -> Any:
        """A property of the build, for what `expect_property` cannot say."""
        return self.build.getProperty(name)

    def log_text(self, name: str) -> str:
        """What a log of the step holds."""
        return str(self.get_nth_step(0).logs[name].stdout)

    def left(self, folder: str) -> list[str]:
        """The names of all files below a folder of the master, sorted."""
        return sorted(path.name for path in (self.folder / folder).rglob("*") if path.is_file())

    def interrupt_when(self, owner: Any, name: str) -> None:
        """Cancel the step while it is in the function `owner.name`, which a thread runs."""
        real = getattr(owner, name)

        def interrupting(*args: Any, **kwargs: Any) -> Any:
            self.get_nth_step(0).interrupt("somebody pressed stop")
            return real(*args, **kwargs)

        self.patch(owner, name, interrupting)


class Acting(MiniosStep):
    """A step whose work is a function of the test."""

    name = "acting"
    default_workdir = "build/obj"

    def __init__(self, act: Callable[[Any], Awaitable[int | None]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.act = act

    async def work(self) -> int:
        result = await self.act(self)
        return SUCCESS if result is None else result


class ActingCase(StepCase):
    def acting(self, act: Callable[[Any], Awaitable[int | None]], **kwargs: Any) -> Any:
        return self.setup_step(Acting(act, **kwargs))


def shell(
    command: list[str] | str,
    *,
    workdir: str = "build/obj",
    env: Mapping[str, str | None] | None = None,
    timeout: int = 300,
    max_time: int = 3600,
    max_lines: int = 200_000,
) -> ExpectShell:
    """A command a step is expected to run, with the limits `MiniosStep.command` gives it."""
    return ExpectShell(
        workdir=workdir,
        command=command,
        env={**CLEAN_ENVIRONMENT, **(env or {})},
        timeout=timeout,
        max_time=max_time,
        max_lines=max_lines,
        log_environ=False,
    )


def interrupted(expected: Any) -> Any:
    """The command during which the step is cancelled (see `interrupt_nth_remote_command`)."""
    expected.interrupted = True
    return expected


def upload(path: str, *, limit: int, workdir: str = "build/obj", text: bool = False) -> Any:
    """An upload, into memory or to a file of the master; what the worker answers is not said yet."""
    return ExpectUploadFile(
        blocksize=BLOCK_SIZE,
        maxsize=limit + 1,
        workersrc=path,
        workdir=workdir,
        writer=ExpectRemoteRef(BoundedStringWriter if text else BoundedFileWriter),
    )


def upload_text(path: str, content: str | bytes, *, limit: int, workdir: str = "build/obj") -> Any:
    """An upload into memory that the worker answers with `content`."""
    return upload(path, limit=limit, workdir=workdir, text=True).upload_string(content).exit(0)


def upload_file(path: str, content: bytes, *, limit: int, workdir: str = "build/obj") -> Any:
    """An upload to a file of the master that the worker answers with `content`."""
    return upload(path, limit=limit, workdir=workdir).upload_string(content).exit(0)


def no_such_file(expected: Any, path: str) -> Any:
    """Makes the worker answer an upload as buildbot-worker does when it has no such file."""

    def answer(command: Any) -> None:
        command.args["writer"].remote_close()

    return expected.behavior(answer).stderr(f"Cannot open file '{path}' for upload").exit(1)


def disk_full(expected: Any) -> Any:
    """Makes the worker answer a download as buildbot-worker does when its disk is full."""
    told = "[Errno 28] No space left on device\nTraceback from remote host -- the same again"
    return expected.error(RemoteException(f"b'builtins.OSError': {told}"))


def download(
    path: str, *, workdir: str = "build/obj", text: bool, into: Callable[[bytes], None] | None = None
) -> Any:
    """A file the master sends; `into` is given its first bytes."""
    expected = ExpectDownloadFile(
        blocksize=BLOCK_SIZE,
        maxsize=None,
        workerdest=path,
        workdir=workdir,
        reader=ExpectRemoteRef(StringReader if text else FileStreamReader),
        mode=None,
    )
    if into is not None:
        expected = expected.download_string(into, size=1 << 24)
    return expected.exit(0)


def remove_folder(folder: str, timeout: int = 300) -> Any:
    """A folder the step removes on the worker."""
    return ExpectRmdir(dir=folder, log_environ=False, timeout=timeout).exit(0)


def make_folder(folder: str) -> Any:
    """A folder the step makes on the worker."""
    return ExpectMkdir(dir=folder, log_environ=False).exit(0)
