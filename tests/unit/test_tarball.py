from __future__ import annotations

import errno
import gzip
import io
import os
import random
import tarfile
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, UnsafeArchiveError
from minios_steps.core.members import scan_members
from minios_steps.core.tarball import Entry, LayerFile, read_members, write_layer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TREE = [
    Entry("usr/bin/env", "hardlink", 0o600, target="bin/busybox"),
    Entry("bin/[", "hardlink", 0o600, target="bin/busybox"),
    Entry("bin/busybox", "file", 0o755, data=b"program"),
    Entry("usr/bin", "dir", 0o755),
    Entry("usr", "dir", 0o755),
    Entry("tmp", "dir", 0o1777),
    Entry("bin", "dir", 0o755),
    Entry("empty", "file", 0o640, uid=3, gid=4),
    Entry("lib", "symlink", 0o777, target="usr/lib"),
]


def members(layer: LayerFile) -> list[tarfile.TarInfo]:
    with tarfile.open(layer.path) as archive:
        return archive.getmembers()


def test_layer_is_sorted_with_parents_and_link_targets_first(tmp_path: Path) -> None:
    names = [member.name for member in members(write_layer(TREE, tmp_path / "l.tgz", 7))]
    assert names == ["bin", "bin/busybox", "empty", "lib", "tmp", "usr", "usr/bin", "bin/[", "usr/bin/env"]


def test_layer_has_explicit_modes_owners_and_times(tmp_path: Path) -> None:
    found = {member.name: member for member in members(write_layer(TREE, tmp_path / "l.tgz", 7))}
    assert found["tmp"].mode == 0o1777
    assert (found["empty"].mode, found["empty"].uid, found["empty"].gid) == (0o640, 3, 4)
    assert found["bin/["].mode == 0o755, "a hard link says the mode of its file"
    assert found["bin/["].linkname == "bin/busybox"
    assert {(member.mtime, member.uname, member.gname) for member in found.values()} == {(7, "", "")}


def test_layer_is_the_same_whatever_order_and_place(tmp_path: Path) -> None:
    one = write_layer(TREE, tmp_path / "one.tgz", 7)
    (tmp_path / "program").write_bytes(b"program")
    other = [
        Entry(e.path, e.kind, e.mode, tmp_path / "program", e.target) if e.path == "bin/busybox" else e
        for e in reversed(TREE)
    ]
    two = write_layer(other, tmp_path / "two.tgz", 7)
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.path.stat().st_mode & 0o777 == 0o644


def test_layer_is_these_very_bytes(tmp_path: Path) -> None:
    # A change here gives every image another digest: then the pipeline version must go up.
    layer = write_layer(TREE, tmp_path / "l.tgz", 1700000000)
    assert layer.diff_id.hex == "f86f417998f323b1ef09cbbc4cc5107f1c5a3b79769c9fcde3854e656c18d433"


def test_links_after_a_program_are_packed_better_than_by_gzip(tmp_path: Path) -> None:
    program = random.Random(1).choices(range(256), weights=range(1, 257), k=200_000)  # noqa: S311 - not a secret
    links = [Entry(f"applet{n}", "symlink", 0o777, target="program") for n in range(400)]
    layer = write_layer([Entry("program", "file", 0o755, data=bytes(program)), *links], tmp_path / "l.tgz", 7)
    assert layer.size < len(gzip.compress(gzip.decompress(layer.path.read_bytes()), 9))


def test_digests_and_sizes_are_those_of_the_bytes(tmp_path: Path) -> None:
    layer = write_layer(TREE, tmp_path / "l.tgz", 7)
    packed = layer.path.read_bytes()
    assert (layer.digest, layer.size) == (Digest.of(packed), len(packed))
    plain = gzip.decompress(packed)
    assert (layer.diff_id, layer.uncompressed) == (Digest.of(plain), len(plain))
    assert packed[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff", "no name, no time, best compression"
    assert LayerFile.from_json(layer.as_json()) == layer


def test_plain_names_need_no_extended_header(tmp_path: Path) -> None:
    plain = gzip.decompress(write_layer(TREE, tmp_path / "l.tgz", 7).path.read_bytes())
    assert b"PaxHeader" not in plain
    assert plain[257:265] == b"ustar\x0000"


def test_long_and_foreign_names_come_back(tmp_path: Path) -> None:
    names = ["x" * 300, "y" * 90 + "ü"]
    tree = [Entry(name, "file", 0o644, data=b"1") for name in names]
    tree.append(Entry("link", "symlink", 0o777, target="z" * 200))
    layer = write_layer(tree, tmp_path / "l.tgz", 7)
    (tmp_path / "l.tar").write_bytes(gzip.decompress(layer.path.read_bytes()))
    back = read_members(tmp_path / "l.tar", max_bytes=10**6, max_entries=9)
    assert sorted(entry.path for entry in back) == sorted([*names, "link"])
    assert next(entry.target for entry in back if entry.kind == "symlink") == "z" * 200


def test_owners_are_read_but_not_taken_from_a_worker(tmp_path: Path) -> None:
    tree = [Entry("a", "file", 0o644, uid=3, gid=3_000_000)]
    plain = gzip.decompress(write_layer(tree, tmp_path / "l.tgz", 7).path.read_bytes())
    [entry] = scan_members(io.BytesIO(plain), max_bytes=10**6, max_entries=9, name="layer")
    assert (entry.uid, entry.gid) == (3, 3_000_000)
    (tmp_path / "l.tar").write_bytes(plain)
    [entry] = read_members(tmp_path / "l.tar", max_bytes=10**6, max_entries=9)
    assert (entry.uid, entry.gid) == (0, 0)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([Entry("a", "file", 0o644), Entry("a", "dir", 0o755)], "'a' twice"),
        ([Entry("a/b", "file", 0o644)], "no folder 'a'"),
        ([Entry("a", "symlink", 0o777, target="b"), Entry("a/b", "file", 0o644)], "no folder 'a'"),
        ([Entry("../a", "file", 0o644)], "not a plain relative path"),
        ([Entry("/a", "file", 0o644)], "not a plain relative path"),
        ([Entry("a", "hardlink", 0o644, target="b")], "no file in it"),
        ([Entry("a", "symlink", 0o777)], "to nothing"),
        ([Entry("a", "file", 0o17777)], "mode 17777"),
    ],
)
def test_trees_that_cannot_be_are_refused(tmp_path: Path, tree: list[Entry], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        write_layer(tree, tmp_path / "l.tgz", 7)
    assert not list(tmp_path.iterdir())


def test_full_disk_is_one_line_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ImageError, match=r"cannot write .*l\.tgz: No space left on device") as caught:
        write_layer(TREE, tmp_path / "l.tgz", 7)
    assert "free some disk space" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_source_that_vanished_leaves_the_old_layer(tmp_path: Path) -> None:
    write_layer(TREE, tmp_path / "l.tgz", 7)
    before = (tmp_path / "l.tgz").read_bytes()
    with pytest.raises(ImageError, match="No such file"):
        write_layer([Entry("a", "file", 0o644, data=tmp_path / "gone")], tmp_path / "l.tgz", 7)
    assert (tmp_path / "l.tgz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["l.tgz"]


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
