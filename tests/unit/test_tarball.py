"""`write_layer`: the same bytes for the same tree, and no tree that cannot be."""

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
from minios_steps.core.errors import ImageError
from minios_steps.core.members import scan_members
from minios_steps.core.tarball import Entry, LayerFile, read_members, write_layer

if TYPE_CHECKING:
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
