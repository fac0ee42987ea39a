from __future__ import annotations

import bz2
import errno
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from minios_steps.core.cancel import CancelledError
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError, UnsafeArchiveError
from minios_steps.core.kbuild import KbuildRules
from minios_steps.core.sources import prepare as prepare_module
from minios_steps.core.sources.prepare import PreparedSource, prepare
from minios_steps.core.sources.storage import StorageError
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_700_000_000
FILES = {
    "Makefile": "core-y := applets/\nlibs-y := coreutils/\n",
    "applets/Kbuild.src": "obj-y := applets.o\nINSERT\n",
    "applets/applets.c": "int main(void)\n{\n\treturn 0;\n}\n",
    "coreutils/Kbuild.src": "lib-y :=\nINSERT\n",
    "coreutils/true.c": "//kbuild:lib-$(CONFIG_TRUE) += true.o\nint true_main(void)\n{\n\treturn 1;\n}\n",
    "scripts/gen.sh": "#!/bin/sh\n",
}
FIX = """\
true: return success

It is its only job.

diff --git a/coreutils/true.c b/coreutils/true.c
--- a/coreutils/true.c
+++ b/coreutils/true.c
@@ -1,5 +1,5 @@
 //kbuild:lib-$(CONFIG_TRUE) += true.o
 int true_main(void)
 {
-\treturn 1;
+\treturn 0;
 }
"""


class Bench:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "prepared"
        self.tarball = root / "busybox.tar.bz2"
        self.tarball.write_bytes(bz2.compress(release("upstream-name", FILES)))

    def patch(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text)
        return path

    def __call__(self, *patches: Path, **changed: Any) -> PreparedSource:
        settings = {"cache_root": self.cache, "epoch": EPOCH, "max_unpacked": 1 << 20, **changed}
        return prepare(Version.parse("1.38.0"), self.tarball, patches, **settings)

    @property
    def left(self) -> list[str]:
        """What is in the cache but locks."""
        return sorted(path.name for path in self.cache.iterdir() if path.suffix != ".lock")


def release(top: str, files: dict[str, str], *, links: dict[str, str] | None = None) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(text)
            info.mode = 0o775 if name.endswith(".sh") else 0o664
            info.mtime = 1
            info.uname = "builder"
            archive.addfile(info, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return output.getvalue()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def content(prepared: PreparedSource, name: str) -> str:
    with tarfile.open(prepared.path, "r:gz") as archive:
        stream = archive.extractfile(f"busybox-1.38.0/{name}")
        assert stream
        return stream.read().decode()


def test_without_patches_it_is_repacked_all_the_same(bench: Bench) -> None:
    prepared = bench()
    assert prepared.path == bench.cache / f"{prepared.key.hex}.tar.gz"
    assert prepared.digest == Digest.of_file(prepared.path)
    for name, text in FILES.items():
        assert content(prepared, name) == text


def test_the_archive_says_nothing_of_this_machine(bench: Bench) -> None:
    with tarfile.open(bench().path, "r:gz") as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert names[0] == "busybox-1.38.0"
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(EPOCH, 0, 0, "", "")}
    modes = {m.name.rpartition("/")[2]: m.mode for m in members}
    assert modes["gen.sh"] == modes["scripts"] == 0o755
    assert modes["true.c"] == 0o644


def test_the_same_input_gives_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    patch = bench.patch("fix.patch", FIX)
    one, two = bench(patch, cache_root=tmp_path / "one"), bench(patch, cache_root=tmp_path / "two")
    assert one.path != two.path
    assert (one.key, one.digest) == (two.key, two.digest)
    # The gzip header holds the epoch and no name (RFC 1952).
    assert one.path.read_bytes()[:8] == b"\x1f\x8b\x08\x00" + EPOCH.to_bytes(4, "little")


def test_a_link_stays_a_link(bench: Bench) -> None:
    bench.tarball.write_bytes(release("bb", FILES, links={"scripts/link": "../Makefile"}))
    with tarfile.open(bench().path) as archive:
        member = archive.getmember("busybox-1.38.0/scripts/link")
    assert (member.type, member.linkname, member.mode) == (tarfile.SYMTYPE, "../Makefile", 0o644)


def test_patches_apply_in_order(bench: Bench) -> None:
    second = FIX.replace("return 1", "RETURN").replace("return 0", "return 2").replace("RETURN", "return 0")
    prepared = bench(bench.patch("1.patch", FIX), bench.patch("2.patch", second))
    assert "return 2;" in content(prepared, "coreutils/true.c")


def test_a_patch_may_add_and_remove_files(bench: Bench) -> None:
    text = """\
--- /dev/null
+++ b/new/file.c
@@ -0,0 +1 @@
+int x;
--- a/scripts/gen.sh
+++ /dev/null
@@ -1 +0,0 @@
-#!/bin/sh
"""
    with tarfile.open(bench(bench.patch("1.patch", text)).path) as archive:
        names = archive.getnames()
    assert "busybox-1.38.0/new/file.c" in names
    assert "busybox-1.38.0/scripts/gen.sh" not in names


def test_everything_that_decides_the_bytes_is_in_the_key(bench: Bench) -> None:
    patch = bench.patch("fix.patch", FIX)
    keys = {bench().key, bench(patch).key, bench(epoch=EPOCH + 1).key}
    bench.patch("fix.patch", FIX.replace("return 0", "return 3"))
    keys.add(bench(patch).key)
    bench.tarball.write_bytes(bench.tarball.read_bytes() + bz2.compress(b""))
    keys.add(bench(patch).key)
    assert len(keys) == 5


def test_the_rules_are_those_of_the_patched_source(bench: Bench) -> None:
    prepared = bench()
    assert prepared.rules_path == bench.cache / f"{prepared.key.hex}.kbuild.json"
    assert prepared.rules() == KbuildRules.from_tarball(prepared.path)
    assert prepared.rules().count({"TRUE": "y"}) == 2


def test_the_second_time_nothing_is_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench()
    monkeypatch.setattr(prepare_module, "unpack", None)
    assert bench() == first


@pytest.mark.parametrize("end", ["tar.gz", "kbuild.json", "json"])
@pytest.mark.parametrize("damage", [None, b"", b"damaged"])
def test_a_damaged_result_is_made_again(bench: Bench, end: str, damage: bytes | None) -> None:
    first = bench()
    path = bench.cache / f"{first.key.hex}.{end}"
    path.unlink() if damage is None else path.write_bytes(damage)
    assert bench() == first
    assert Digest.of_file(first.path) == first.digest
    assert first.rules().folders


def test_what_a_killed_run_left_is_in_nobodys_way(bench: Bench) -> None:
    key = bench().key
    for path in bench.cache.glob(f"{key.hex}*"):
        path.unlink()
    left = bench.cache / f"{key.hex}.tmp" / "upstream-name"
    left.mkdir(parents=True)
    (left / "old.c").touch()
    with tarfile.open(bench().path) as archive:
        assert "busybox-1.38.0/old.c" not in archive.getnames()
    assert not left.parent.exists()


def test_a_patch_that_does_not_apply_is_named_and_git_quoted(bench: Bench) -> None:
    bad = bench.patch("bad.patch", FIX.replace("-\treturn 1", "-\treturn 7"))
    with pytest.raises(SourceError) as caught:
        bench(bench.patch("good.patch", FIX), bad)
    assert caught.value.what == "bad.patch does not apply: error: patch failed: coreutils/true.c:1"
    assert bench.left == []


def test_context_must_fit_exactly(bench: Bench) -> None:
    with pytest.raises(SourceError, match=r"fuzzy\.patch does not apply"):
        bench(bench.patch("fuzzy.patch", FIX.replace(" int true_main(void)", " int true_main(int x)")))


@pytest.mark.parametrize("text", ["", "only words\n"])
def test_a_patch_without_a_change_is_refused(bench: Bench, text: str) -> None:
    with pytest.raises(SourceError, match=r"empty\.patch does not apply: error: "):
        bench(bench.patch("empty.patch", text))


def test_a_patch_cannot_leave_the_tree(bench: Bench) -> None:
    text = "--- /dev/null\n+++ b/../../escaped\n@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(SourceError, match=r"out\.patch does not apply"):
        bench(bench.patch("out.patch", text))
    assert not list(bench.root.rglob("escaped"))


def test_a_missing_patch_is_named(bench: Bench) -> None:
    with pytest.raises(SourceError, match=r"patch .*gone\.patch: No such file"):
        bench(bench.root / "gone.patch")


def test_a_repository_around_the_state_changes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", str(bench.root)], check=True)
    monkeypatch.setenv("GIT_DIR", str(bench.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(bench.root))
    assert "return 0;" in content(bench(bench.patch("fix.patch", FIX)), "coreutils/true.c")


def test_a_persons_git_settings_change_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.root / ".gitconfig").write_text("[apply]\n\tignoreWhitespace = change\n")
    monkeypatch.setenv("HOME", str(bench.root))
    with pytest.raises(SourceError, match=r"spaces\.patch does not apply"):
        bench(bench.patch("spaces.patch", FIX.replace(" int true_main", " int  true_main")))


def test_a_machine_without_git_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.root))
    with pytest.raises(SourceError, match=r"fix\.patch: applying a patch needs git") as caught:
        bench(bench.patch("fix.patch", FIX))
    assert caught.value.hint == "install git"
    assert bench().path.exists()


def test_a_source_that_brings_git_settings_is_not_patched(bench: Bench) -> None:
    bench.tarball.write_bytes(release("bb", {**FILES, ".git/config": "[core]\n"}))
    with pytest.raises(SourceError, match=r"holds a \.git"):
        bench(bench.patch("fix.patch", FIX))


def test_an_unsafe_archive_leaves_nothing(bench: Bench) -> None:
    bench.tarball.write_bytes(release("bb", {**FILES, "../../evil": "x"}))
    with pytest.raises(UnsafeArchiveError, match="evil"):
        bench()
    assert bench.left == []


def test_a_release_has_one_top_folder(bench: Bench) -> None:
    bench.tarball.write_bytes(release(".", FILES))
    with pytest.raises(SourceError, match="one top folder, this has 4 things at its top"):
        bench()


def test_what_is_no_busybox_is_refused_and_not_kept(bench: Bench) -> None:
    bench.tarball.write_bytes(release("other", {"README": "hello\n"}))
    with pytest.raises(SourceError, match=r"busybox-1\.38\.0\.tar\.gz: holds no BusyBox"):
        bench()
    assert bench.left == []


def test_a_full_disk_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full"):
        bench(bench.patch("fix.patch", FIX))
    assert bench.left == []


def test_cancelling_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(CancelledError):
        bench(bench.patch("fix.patch", FIX), cancelled=lambda: True)
    assert bench.left == []
