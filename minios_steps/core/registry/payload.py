"""The bytes of an upload, read in parts as they are sent, and hashed once on the way."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from minios_steps.core.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from minios_steps.core.digest import Digest


class Payload:
    """An open blob.

    Args:
        stream: can be sought.
        name: what messages call it.
        digest: what its bytes must have.
        check: called before each block.
    """

    def __init__(self, stream: BinaryIO, name: str, digest: Digest, check: Callable[[], None]) -> None:
        self.name = name
        self.digest = digest
        self.check = check
        self.size = stream.seek(0, 2)
        self.hashed = 0
        """How many bytes were read at least once."""
        self._stream = stream
        self._state = hashlib.sha256()

    def part(self, start: int, size: int) -> Part | bytes:
        """The body of a request; `requests` sends no length of a stream without bytes."""
        return Part(self, start, size) if size else b""

    def read(self, at: int, size: int) -> bytes:
        """A block for sending.

        Raises:
            ImageError: the file cannot be read, was changed, or has another digest; the last
                block is then not given, so that no registry ever has the whole.
        """
        self.check()
        try:
            self._stream.seek(at)
            block = self._stream.read(size)
        except OSError as error:
            raise ImageError(f"{self.name}: cannot be read: {error.strerror}") from error
        if len(block) < size:
            raise ImageError(f"{self.name}: became shorter while it was sent")
        end = at + size
        if at <= self.hashed < end:
            self._state.update(memoryview(block)[self.hashed - at :])
            self.hashed = end
        if end == self.size and self._state.hexdigest() != self.digest.hex:
            raise ImageError(f"{self.name}: expected {self.digest}, found sha256:{self._state.hexdigest()}")
        return block


class Part:
    """A range of a payload as `requests` and `urllib3` read a body."""

    def __init__(self, payload: Payload, start: int, size: int) -> None:
        self._payload = payload
        self._at = start
        self._end = start + size
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(1 << 16):
            yield block

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end."""
        left = self._end - self._at
        size = left if size < 0 else min(size, left)
        if not size:
            return b""
        block = self._payload.read(self._at, size)
        self._at += size
        return block


@contextmanager
def opened(source: Path | bytes, digest: Digest, check: Callable[[], None]) -> Iterator[Payload]:
    """A file or bytes, open for sending; see `Payload`."""
    if isinstance(source, Path):
        try:
            stream: BinaryIO = source.open("rb", buffering=0)
        except OSError as error:
            raise ImageError(f"cannot read {source}: {error.strerror}") from error
        name = str(source)
    else:
        stream, name = BytesIO(source), f"blob {digest}"
    with stream:
        yield Payload(stream, name, digest, check)
