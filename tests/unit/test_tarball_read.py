"""`read_members`: a worker's tar is read, and nothing in it that must not be."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.errors import UnsafeArchiveError
from minios_steps.core.tarball import Entry, read_members

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def worker_tar(path: Path, build: Callable[[tarfile.TarFile], None], kind: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as archive:
        build(archive)
    return path


def item(name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    info.uid = info.gid = 1000
    return info


def read(path: Path, *, max_bytes: int = 10**6, max_entries: int = 100) -> list[Entry]:
    return read_members(path, max_bytes=max_bytes, max_entries=max_entries)


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_workers_tar_is_read(tmp_path: Path, kind: int) -> None:
    def build(archive: tarfile.TarFile) -> None:
        archive.addfile(item(".", tarfile.DIRTYPE))
        archive.addfile(item("./bin", tarfile.DIRTYPE))
        info = item("./bin/busybox")
        info.size, info.mtime = 5, 1700000000
        archive.addfile(info, io.BytesIO(b"12345"))
        archive.addfile(item("./bin/[", tarfile.LNKTYPE, target="./bin/busybox"))
        archive.addfile(item("./usr/bin/env", tarfile.SYMTYPE, target="../../bin/busybox"))

    found = read(worker_tar(tmp_path / "w.tar", build, kind))
    assert found == [
        Entry("bin", "dir", 0o755),
        Entry("bin/busybox", "file", 0o755, data=b"12345"),
        Entry("bin/[", "hardlink", 0o755, target="bin/busybox"),
        Entry("usr/bin/env", "symlink", 0o755, target="../../bin/busybox"),
    ]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (item("../evil"), "not a plain relative path"),
        (item("a/../../evil"), "not a plain relative path"),
        (item("/etc/passwd"), "is absolute"),
        (item("a\nb"), "not a plain relative path"),
        (item("l", tarfile.SYMTYPE, target="/etc/passwd"), "absolute path '/etc/passwd'"),
        (item("a/l", tarfile.SYMTYPE, target="../../etc"), "leads out"),
        (item("l", tarfile.SYMTYPE, target=".."), "leads out"),
        (item("l", tarfile.LNKTYPE, target="/etc/passwd"), "is absolute"),
        (item("l", tarfile.LNKTYPE, target="../x"), "not a plain relative path"),
        (item("l", tarfile.LNKTYPE, target="later"), "no file before it"),
        (item("d", tarfile.CHRTYPE), "character device"),
        (item("d", tarfile.BLKTYPE), "block device"),
        (item("d", tarfile.FIFOTYPE), "named pipe"),
        (item("d", b"Z"), "unknown type"),
        (item("s", mode=0o4755), "setuid or setgid"),
        (item("s", mode=0o2755), "setuid or setgid"),
        (item(".", tarfile.SYMTYPE, target="x"), "the root is a symlink"),
    ],
)
def test_hostile_entries_are_refused(tmp_path: Path, bad: tarfile.TarInfo, message: str) -> None:
    path = worker_tar(tmp_path / "w.tar", lambda archive: archive.addfile(bad))
    with pytest.raises(UnsafeArchiveError, match=message) as caught:
        read(path)
    assert caught.value.what.startswith("w.tar: ")


def test_folder_below_a_setgid_folder_is_plain(tmp_path: Path) -> None:
    folder = item("bin", tarfile.DIRTYPE, mode=0o2755)
    path = worker_tar(tmp_path / "w.tar", lambda archive: archive.addfile(folder))
    assert read(path) == [Entry("bin", "dir", 0o755)]


def test_entry_below_a_link_is_refused(tmp_path: Path) -> None:
    def build(archive: tarfile.TarFile) -> None:
        archive.addfile(item("bin"))
        archive.addfile(item("bin/x/y"))

    with pytest.raises(UnsafeArchiveError, match="below 'bin', which is no folder"):
        read(worker_tar(tmp_path / "w.tar", build))


def test_entry_twice_is_refused(tmp_path: Path) -> None:
    def build(archive: tarfile.TarFile) -> None:
        archive.addfile(item("a"))
        archive.addfile(item("./a"))

    with pytest.raises(UnsafeArchiveError, match="'a' is there twice"):
        read(worker_tar(tmp_path / "w.tar", build))


def test_too_many_bytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    info = item("big")
    info.size = 1 << 50
    (tmp_path / "w.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(UnsafeArchiveError, match="more than the 1,000,000 bytes allowed, at 'big'"):
        read(tmp_path / "w.tar")


def test_many_small_files_count_together(tmp_path: Path) -> None:
    def build(archive: tarfile.TarFile) -> None:
        for number in range(3):
            info = item(str(number))
            info.size = 400
            archive.addfile(info, io.BytesIO(bytes(400)))

    path = worker_tar(tmp_path / "w.tar", build)
    assert len(read(path, max_bytes=1200)) == 3
    with pytest.raises(UnsafeArchiveError, match="at '2'"):
        read(path, max_bytes=1199)


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    def five(archive: tarfile.TarFile) -> None:
        for number in range(5):
            archive.addfile(item(str(number)))

    path = worker_tar(tmp_path / "w.tar", five)
    with pytest.raises(UnsafeArchiveError, match="more than the 4 entries allowed"):
        read(path, max_entries=4)


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    info = item("holes", tarfile.GNUTYPE_SPARSE)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    (tmp_path / "old.tar").write_bytes(bytes(block) + bytes(1024))
    with pytest.raises(UnsafeArchiveError, match="sparse file"):
        read(tmp_path / "old.tar")
    new = item("holes")
    new.pax_headers = {"GNU.sparse.realsize": "1000000000000"}
    with pytest.raises(UnsafeArchiveError, match="sparse file"):
        read(worker_tar(tmp_path / "new.tar", lambda tar: tar.addfile(new), tarfile.PAX_FORMAT))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("path", "../evil", "not a plain"),
        ("linkpath", "/etc", "absolute"),
        ("size", "-1", "size"),
        ("size", "9" * 9, "bytes"),
    ],
)
def test_extended_headers_are_judged_too(tmp_path: Path, key: str, value: str, message: str) -> None:
    info = item("good", tarfile.SYMTYPE if key == "linkpath" else tarfile.REGTYPE, target="x")
    info.pax_headers = {key: value}
    with pytest.raises(UnsafeArchiveError, match=message):
        read(worker_tar(tmp_path / "w.tar", lambda tar: tar.addfile(info), tarfile.PAX_FORMAT))


def test_huge_extended_header_is_refused(tmp_path: Path) -> None:
    info = item("x", tarfile.XHDTYPE)
    info.size = 1 << 40
    (tmp_path / "w.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(UnsafeArchiveError, match="an extended header of"):
        read(tmp_path / "w.tar")


def test_negative_size_is_refused(tmp_path: Path) -> None:
    info = item("x")
    info.size = -512
    (tmp_path / "w.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(UnsafeArchiveError, match="negative number"):
        read(tmp_path / "w.tar")


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    def build(archive: tarfile.TarFile) -> None:
        info = item("x" * 150)
        info.size = 700
        archive.addfile(info, io.BytesIO(bytes(700)))

    whole = worker_tar(tmp_path / "w.tar", build).read_bytes()
    for end in (0, 1, 511, 512, 1000, 1024, 1536, 2000, 2559, 2560):
        (tmp_path / "cut.tar").write_bytes(whole[:end])
        with pytest.raises(UnsafeArchiveError, match="cut short"):
            read(tmp_path / "cut.tar")


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.tar").write_bytes(gzip.compress(os.urandom(4000)))
    with pytest.raises(UnsafeArchiveError, match="not a plain tar archive"):
        read(tmp_path / "w.tar")
    with pytest.raises(UnsafeArchiveError, match="cannot be read"):
        read(tmp_path / "missing.tar")
