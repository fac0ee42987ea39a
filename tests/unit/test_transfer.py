"""`transfer`: what a worker sends is bounded, and whole or absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from twisted.spread.banana import SIZE_LIMIT

from minios_steps.step import BLOCK_SIZE
from minios_steps.transfer import BoundedFileWriter, BoundedStringWriter, FileStreamReader, StringReader

if TYPE_CHECKING:
    from pathlib import Path


class FullDisk:
    """A stream on a disk without room; `late` when only closing notices."""

    def __init__(self, *, late: bool = False) -> None:
        self.late = late

    def write(self, _data: bytes) -> None:
        if not self.late:
            raise OSError(28, "No space left on device")

    def close(self) -> None:
        if self.late:
            raise OSError(28, "No space left on device")


def on_full_disk(writer: BoundedFileWriter, *, late: bool = False) -> None:
    writer._stream.close()
    writer._stream = cast("BinaryIO", FullDisk(late=late))


class TestText:
    def test_joined(self) -> None:
        writer = BoundedStringWriter(8)
        for block in (b"\xc3", b"\xa4 ", "ö", b""):
            writer.remote_write(block)
        assert not writer.closed
        writer.remote_close()
        assert writer.closed
        assert (writer.take_text(), writer.problem, writer.received) == ("ä ö", "", 5)

    def test_not_utf8(self) -> None:
        writer = BoundedStringWriter(8)
        writer.remote_write(b"a\xff\x80b")
        assert writer.take_text() == "a\ufffd\ufffdb"

    def test_full_to_the_brim(self) -> None:
        writer = BoundedStringWriter(4)
        writer.remote_write(b"1234")
        writer.remote_write(b"")
        assert writer.problem == ""

    def test_bounded(self) -> None:
        writer = BoundedStringWriter(4)
        for _ in range(1000):
            writer.remote_write(b"123")
        assert writer.take_text() == "123"
        assert writer.problem == "larger than the 4 bytes allowed"
        assert writer.received == 3000

    def test_times_are_not_taken(self) -> None:
        BoundedStringWriter(4).remote_utime((0.0, 0.0))

    def test_broken_off(self) -> None:
        writer = BoundedStringWriter(4)
        writer.cancel()
        assert not writer.closed


class TestFile:
    def test_only_commit_puts_it_in_place(self, tmp_path: Path) -> None:
        writer = BoundedFileWriter(tmp_path / "new" / "file", 10)
        writer.remote_write(b"01234")
        writer.remote_write(b"56789")
        writer.remote_close()
        assert not (tmp_path / "new" / "file").exists()
        writer.commit()
        assert [(path.name, path.read_bytes()) for path in (tmp_path / "new").iterdir()] == [
            ("file", b"0123456789")
        ]

    @pytest.mark.parametrize("closed", [False, True])
    def test_discarded(self, tmp_path: Path, closed: bool) -> None:  # noqa: FBT001
        (tmp_path / "file").write_bytes(b"older")
        writer = BoundedFileWriter(tmp_path / "file", 10)
        writer.remote_write(b"01234")
        if closed:
            writer.remote_close()
        writer.discard()
        writer.discard()
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"older")]

    def test_broken_off(self, tmp_path: Path) -> None:
        writer = BoundedFileWriter(tmp_path / "file", 10)
        writer.cancel()
        assert list(tmp_path.iterdir()) == []

    def test_bounded(self, tmp_path: Path) -> None:
        writer = BoundedFileWriter(tmp_path / "file", 10)
        writer.remote_write(b"0123456789")
        for _ in range(1000):
            writer.remote_write(b"+")
        writer.remote_close()
        assert writer.problem == "larger than the 10 bytes allowed"
        assert [path.stat().st_size for path in tmp_path.iterdir()] == [10]

    def test_disk_full(self, tmp_path: Path) -> None:
        writer = BoundedFileWriter(tmp_path / "file", 10)
        on_full_disk(writer)
        writer.remote_write(b"0")
        writer.remote_write(b"1" * 20)
        assert writer.problem == "cannot be stored on the master: No space left on device"

    def test_disk_full_at_the_end(self, tmp_path: Path) -> None:
        writer = BoundedFileWriter(tmp_path / "file", 10)
        on_full_disk(writer, late=True)
        writer.remote_write(b"0")
        writer.remote_close()
        assert writer.problem == "cannot be stored on the master: No space left on device"
        writer.discard()
        assert list(tmp_path.iterdir()) == []


def test_a_block_fits_into_a_message() -> None:
    """A longer one ends the connection of a remote worker, and the build is tried again for ever."""
    assert BLOCK_SIZE < SIZE_LIMIT


class TestReaders:
    def test_bytes(self) -> None:
        reader = StringReader(b"0123456789")
        assert [reader.remote_read(6), reader.remote_read(6), reader.remote_read(6)] == [
            b"012345",
            b"6789",
            b"",
        ]
        reader.remote_close()
        assert not reader.remote_read(6)

    def test_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"0123")
        with (tmp_path / "file").open("rb") as stream:
            reader = FileStreamReader(stream)
            assert reader.remote_read(100) == b"0123"
            reader.remote_close()
            assert stream.closed
