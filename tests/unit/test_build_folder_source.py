"""The real scripts on a made-up release: its source is unpacked once, whole, for all builders."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest
from folderbed import SOURCE, Worker, tarball

from minios_steps.core.build_folder import BuildFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_workers_side_by_side_share_a_source(tmp_path: Path) -> None:
    one, two = Worker(tmp_path), Worker(tmp_path)
    two.base = tmp_path / "other"
    two.builder = two.base / "aarch64"
    two.build = two.builder / "build"
    two.objects = two.build / "obj"
    one.open(trees="../..")
    (tmp_path / next(tmp_path.glob("minios-src-*")) / "part.c").write_text("shared\n")
    two.open(trees="../..")
    two.make()
    assert (two.objects / "busybox").read_text() == "shared\n"


def test_sources_that_nobody_used_for_long_are_removed(worker: Worker) -> None:
    worker.base.mkdir()
    for name, marked in (("minios-src-old", True), ("minios-src-killed.7", False), ("minios-src-new", True)):
        folder = worker.base / name
        folder.mkdir()
        if marked:
            (folder / ".minios-ready").touch()
        if name != "minios-src-new":
            os.utime(folder / ".minios-ready" if marked else folder, (0, 0))
    worker.open()
    names = {path.name for path in worker.base.glob("minios-src-*")}
    assert names == {"minios-src-new", f"minios-src-{SOURCE.short}"}


def test_half_unpacked_source_does_not_count(worker: Worker) -> None:
    worker.open()
    (worker.tree / ".minios-ready").unlink()
    (worker.tree / "part.c").unlink()
    worker.open()
    assert (worker.tree / "part.c").is_file()


WRAPPER = """#!/bin/sh
{program} "$@" || exit
for inside in {base}/minios-src-*/minios-src-*; do [ ! -e "$inside" ] || : >{base}/nested; done
if [ ! -e {base}/second ]; then
    : >{base}/second
    cd {other} && sh -c "$(cat {base}/open)" {words}
fi
"""


def test_two_builders_unpack_the_same_source(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one unpacks, and is done, while the first one unpacks."""
    other = Worker(tmp_path)
    other.builder = other.base / "aarch64"
    other.build = other.builder / "build"
    for one in (worker, other):
        one.build.mkdir(parents=True)
        tarball(one.build / "source.tar.gz")
    command = BuildFolder("..", SOURCE, "f").command
    (worker.base / "open").write_text(command[2])
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("tar", "mv"):
        text = WRAPPER.format(
            program=shutil.which(name), base=worker.base, other=other.build, words=shlex.join(command[3:])
        )
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    assert "minios-folder\tnew" in worker.run(*command)
    assert (worker.base / "second").exists()
    assert (other.build / "obj").is_symlink()
    assert sorted(path.name for path in worker.tree.iterdir()) == [".minios-ready", "Makefile", "part.c"]
    assert not (worker.base / "nested").exists()


def test_damaged_source(worker: Worker) -> None:
    worker.build.mkdir(parents=True)
    (worker.build / "source.tar.gz").write_bytes(b"damaged")
    worker.run(*BuildFolder("..", SOURCE, "f").command, code=1)
    assert not (worker.base / f"minios-src-{SOURCE.short}").exists()


def test_folder_that_make_cannot_use(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "two words")
    worker.build.mkdir(parents=True)
    tarball(worker.build / "source.tar.gz")
    told = worker.run(*BuildFolder("..", SOURCE, "f").command, code=1)
    assert "make cannot use this folder's name" in told
