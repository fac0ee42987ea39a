from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import SourceError, UnsafeArchiveError
from minios_steps.core.sources.unpack import safe_members, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 1 << 20


def member(
    name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return output.getvalue()


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., Path]:
    def write(*members: tuple[tarfile.TarInfo, bytes]) -> Path:
        path = tmp_path / "release.tar.bz2"
        path.write_bytes(bz2.compress(tar(member("bb", tarfile.DIRTYPE), *members)))
        return path

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    return path


@pytest.mark.parametrize("compress", [bz2.compress, gzip.compress, lzma.compress, bytes])
def test_every_compression_is_read(tmp_path: Path, folder: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "release"
    path.write_bytes(
        compress(
            tar(
                member("bb/", tarfile.DIRTYPE, mode=0o700),
                member("bb/run.sh", data=b"#!/bin/sh\n", mode=0o775),
                member("bb/deep/file.c", data=b"int x;\n", mode=0o600),
                member("bb/deep/link", tarfile.SYMTYPE, linkname="../run.sh"),
                member("bb/copy.c", tarfile.LNKTYPE, linkname="bb/deep/file.c"),
            )
        )
    )
    unpack(path, folder, max_bytes=LIMIT)
    assert (folder / "bb/deep/file.c").read_bytes() == b"int x;\n"
    assert (folder / "bb/copy.c").read_bytes() == b"int x;\n"
    assert (folder / "bb/copy.c").stat().st_nlink == 1
    assert str((folder / "bb/deep/link").readlink()) == "../run.sh"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (folder / "bb").rglob("*") if p.is_file()}
    assert modes == {"run.sh": 0o755, "file.c": 0o644, "copy.c": 0o644, "link": 0o755}
    assert stat.S_IMODE((folder / "bb").stat().st_mode) == 0o755


UNSAFE = {
    "parent": (member("bb/../../etc/passwd", data=b"x"), "etc/passwd"),
    "absolute": (member("/etc/passwd", data=b"x"), "/etc/passwd"),
    "character device": (member("bb/null", tarfile.CHRTYPE), "bb/null"),
    "block device": (member("bb/sda", tarfile.BLKTYPE), "bb/sda"),
    "pipe": (member("bb/pipe", tarfile.FIFOTYPE), "bb/pipe"),
    "setuid": (member("bb/su", data=b"x", mode=0o4755), "bb/su"),
    "setgid": (member("bb/sg", data=b"x", mode=0o2755), "bb/sg"),
    "absolute link": (member("bb/l", tarfile.SYMTYPE, linkname="/etc/passwd"), "bb/l"),
    "leaving link": (member("bb/l", tarfile.SYMTYPE, linkname="../../x"), "bb/l"),
    "winding link": (member("bb/l", tarfile.SYMTYPE, linkname="a/../../x"), "bb/l"),
    "hard link out": (member("bb/h", tarfile.LNKTYPE, linkname="../x"), r"\.\./x"),
    "hard link to nothing": (member("bb/h", tarfile.LNKTYPE, linkname="bb/none"), "bb/h"),
    "twice": (member("bb", tarfile.DIRTYPE), "bb"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_what_is_unsafe_is_refused_by_name(release: Callable[..., Path], folder: Path, case: str) -> None:
    bad, named = UNSAFE[case]
    with pytest.raises(UnsafeArchiveError, match=named):
        unpack(release(bad), folder, max_bytes=LIMIT)
    assert [
        path.name for path in folder.parent.iterdir() if path.name not in ("tree", "release.tar.bz2")
    ] == []


def test_nothing_is_written_through_a_link(release: Callable[..., Path], folder: Path) -> None:
    archive = release(
        member("bb/dir", tarfile.SYMTYPE, linkname="."), member("bb/dir/file", data=b"through the link")
    )
    with pytest.raises(UnsafeArchiveError, match="bb/dir/file"):
        unpack(archive, folder, max_bytes=LIMIT)


def test_a_file_twice_is_refused(release: Callable[..., Path], folder: Path) -> None:
    with pytest.raises(UnsafeArchiveError, match=r"bb/f.* twice"):
        unpack(release(member("bb/f", data=b"1"), member("bb/./f", data=b"2")), folder, max_bytes=LIMIT)


def test_a_bomb_is_stopped_before_it_is_unpacked(release: Callable[..., Path], folder: Path) -> None:
    archive = release(member("bb/zeros", data=bytes(16 << 20)))
    assert archive.stat().st_size < 1000
    with pytest.raises(UnsafeArchiveError, match="more than the 1,048,576 bytes allowed, at 'bb/zeros'"):
        unpack(archive, folder, max_bytes=LIMIT)
    assert not (folder / "bb/zeros").exists()


def test_hard_links_count_as_the_copies_they_become(release: Callable[..., Path]) -> None:
    links = [member(f"bb/{n}", tarfile.LNKTYPE, linkname="bb/big") for n in range(20)]
    archive = release(member("bb/big", data=bytes(LIMIT // 10)), *links)
    with pytest.raises(UnsafeArchiveError, match="bytes allowed"):
        list(safe_members(archive, max_bytes=LIMIT))


def test_too_many_entries_are_refused(release: Callable[..., Path]) -> None:
    archive = release(*(member(f"bb/{n}") for n in range(20)))
    with pytest.raises(UnsafeArchiveError, match="more than the 10 entries allowed"):
        list(safe_members(archive, max_bytes=LIMIT, max_entries=10))


@pytest.mark.parametrize("compress", [bz2.compress, gzip.compress, lzma.compress])
def test_a_truncated_archive_is_refused(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(tar(member("bb", tarfile.DIRTYPE), member("bb/f", data=bytes(range(256)) * 40)))
    path = tmp_path / "short.tar"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((SourceError, UnsafeArchiveError), match=r"short\.tar: "):
        list(safe_members(path, max_bytes=LIMIT))


@pytest.mark.parametrize(
    "junk", [b"", b"<html>not found</html>", b"BZh9 no", b"\x1f\x8b no", b"\xfd7zXZ\x00 no"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "junk"
    path.write_bytes(junk)
    with pytest.raises((SourceError, UnsafeArchiveError), match="junk: "):
        list(safe_members(path, max_bytes=LIMIT))


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="gone: cannot be unpacked"):
        list(safe_members(tmp_path / "gone", max_bytes=LIMIT))


def test_unpacking_is_cancelled_between_files(release: Callable[..., Path], folder: Path) -> None:
    with pytest.raises(CancelledError):
        unpack(release(), folder, max_bytes=LIMIT, cancelled=lambda: True)
    assert list(folder.iterdir()) == []
