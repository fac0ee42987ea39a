"""File transfers that a lying worker cannot overflow.

Buildbot's own writers cut what is over the limit in silence and keep text in memory
without a bound; these stop listening and say so.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from buildbot.process.remotetransfer import FileReader
from buildbot.worker.protocols import base

if TYPE_CHECKING:
    from collections.abc import Callable

SLACK = 4 << 20
"""Bytes over the limit until the sender is cut off; one that keeps to what it was told sends one."""


class _BoundedWriter(base.FileWriterImpl):  # type: ignore[misc]
    """Counts what arrives; over the limit nothing more is kept and `problem` says why.

    `cut` is called with a reason when it goes on and on; the step sets it.
    """

    cut: Callable[[str], None] | None = None

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.received = 0
        self.problem = ""
        self.closed = False

    def remote_write(self, data: bytes | str) -> None:
        """Take a block from the worker; what is no block, or comes after the end, spoils the file."""
        block = data.encode("utf-8", "replace") if isinstance(data, str) else data
        if self.closed or not isinstance(block, bytes):
            self.problem = self.problem or "not sent as files are"
            return
        self.received += len(block)
        if self.received > self.limit:
            self.problem = self.problem or f"larger than the {self.limit:,} bytes allowed"
        if self.received > self.limit + SLACK and self.cut is not None:
            self.cut(f"sent {SLACK:,} bytes of a file more than allowed")
        if self.problem:
            return
        try:
            self.keep(block)
        except OSError as error:
            self.problem = f"cannot be stored on the master: {error.strerror}"

    def keep(self, block: bytes) -> None:
        """Store a block that is within the limit."""
        raise NotImplementedError

    def remote_utime(self, accessed_modified: tuple[float, float]) -> None:
        """Times are never taken from a worker."""

    def remote_close(self) -> None:
        """The worker sends no more; whether that was everything only the end of its command tells."""
        self.closed = True

    def cancel(self) -> None:
        """Buildbot's word that the transfer broke."""


class BoundedStringWriter(_BoundedWriter):
    """Receives a text file into memory."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._blocks: list[bytes] = []

    def keep(self, block: bytes) -> None:
        """Store a block in memory."""
        self._blocks.append(block)

    def take_text(self) -> str:
        """All of it, which is kept no longer; bytes that are not UTF-8 are replaced."""
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks).decode("utf-8", "replace")


class BoundedFileWriter(_BoundedWriter):
    """Receives a file beside its destination; `commit` moves it there, `discard` removes it."""

    def __init__(self, destination: Path, limit: int) -> None:
        super().__init__(limit)
        self.destination = destination
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=destination.parent, prefix=".transfer-")
        self._temporary = Path(name)
        self._stream: BinaryIO = os.fdopen(handle, "wb")

    def keep(self, block: bytes) -> None:
        """Store a block on disk."""
        self._stream.write(block)

    def remote_close(self) -> None:
        """The worker sends no more: it says so too when it was interrupted in the middle."""
        super().remote_close()
        try:
            self._stream.close()
        except OSError as error:
            self.problem = self.problem or f"cannot be stored on the master: {error.strerror}"

    def commit(self) -> None:
        """Move the complete file to its place."""
        self._temporary.replace(self.destination)

    def discard(self) -> None:
        """Remove what has arrived."""
        with suppress(OSError):
            self._stream.close()
        self._temporary.unlink(missing_ok=True)

    cancel = discard


class FileStreamReader(FileReader):  # type: ignore[misc]
    """Sends an open file."""


class StringReader(FileReader):  # type: ignore[misc]
    """Sends bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(BytesIO(data))
