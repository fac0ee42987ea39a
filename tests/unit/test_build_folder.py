"""The real scripts on a made-up release, whose makefile is two lines: what is kept, and what never is."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from folderbed import Worker, plain_environment

from minios_steps.core.build_folder import (
    BUSY,
    MAX_KEPT,
    OPEN,
    family_of,
    parse_opened,
)
from minios_steps.core.clean_check import clean_check_command, parse_checked
from minios_steps.core.errors import MiniosError
from minios_steps.core.make import make_command, make_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_objects_are_apart_from_the_source(worker: Worker) -> None:
    assert worker.open() == "new"
    before = sorted(path.name for path in worker.tree.iterdir())
    assert "  CC      part.o\n" in worker.make()
    assert (worker.objects / "busybox").read_text() == "source\n"
    assert (worker.objects / "busybox.links").read_text() == "/bin/ls\n"
    assert (
        sorted(path.name for path in worker.tree.iterdir())
        == before
        == [".minios-ready", "Makefile", "part.c"]
    )


def test_the_next_build_goes_on_from_there(worker: Worker) -> None:
    worker.open()
    worker.make()
    assert worker.open() == "kept"
    assert "CC" not in worker.make()
    assert (worker.objects / "busybox").is_file()
    assert len(worker.kept) == 1


def test_families_are_apart(worker: Worker) -> None:
    worker.open("one")
    worker.make()
    assert worker.open("two") == "new"
    worker.make()
    assert worker.open("one") == "kept"
    assert len(worker.kept) == 2


def test_what_did_not_end_well_is_never_used_again(worker: Worker) -> None:
    worker.open()
    worker.make(code=2)
    [failed] = worker.kept
    assert (failed / BUSY).exists()
    assert worker.open() == "new"
    assert worker.kept != [failed], "an orphan of that build cannot write into the new one's folder"
    worker.make()
    assert worker.open() == "kept"


def test_a_build_that_never_called_make_leaves_no_trust(worker: Worker) -> None:
    worker.open()
    assert worker.open() == "new"


def test_a_kept_folder_that_is_broken_later_is_left(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    (worker.tree / "part.c").write_text("changed\n")
    worker.make(code=2)
    assert worker.open() == "new"


def test_fresh_starts_from_nothing(worker: Worker) -> None:
    worker.open()
    worker.make()
    assert worker.open(fresh=True) == "new"
    assert len(worker.kept) == 1
    assert "CC" in worker.make()


def test_no_family_keeps_nothing(worker: Worker) -> None:
    for _ in range(2):
        assert worker.open("") == "new"
        assert not worker.objects.is_symlink()
        assert "CC" in worker.make()
    assert not (worker.builder / "kept").exists()


def test_a_bounded_number_is_kept_the_oldest_goes(worker: Worker) -> None:
    for number in range(MAX_KEPT + 2):
        worker.open(f"family{number}")
        worker.make()
        os.utime(worker.objects, (number, number))
    assert worker.open("family1") == "new"
    worker.make()
    assert worker.open(f"family{MAX_KEPT + 1}") == "kept"
    assert len(worker.kept) == MAX_KEPT


def test_nearly_full_disk_keeps_only_its_own(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    for family in ("one", "two"):
        worker.open(family)
        worker.make()
    programs = worker.base / "bin"
    programs.mkdir()
    (programs / "df").write_text("#!/bin/sh\necho head of the table\necho disk 9 8 999999 99% /\n")
    (programs / "df").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    assert worker.open("two") == "kept"
    assert len(worker.kept) == 1


def check(worker: Worker) -> bool:
    make = make_command(jobs=2, arch="x86_64", prefix="", ccache=False)
    words = (*make[:4], "CC=cat", *make[4:])
    return parse_checked(worker.run(*clean_check_command("x86_64", words)))


def test_kept_objects_that_are_right(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    worker.make()
    assert check(worker)
    assert worker.objects.is_symlink()
    assert not (worker.build / "clean").exists()


def test_kept_objects_that_are_wrong_are_replaced(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    worker.make()
    (worker.objects / "busybox").write_text("wrong\n")
    assert not check(worker)
    assert (worker.objects / "busybox").read_text() == "source\n"
    assert worker.kept == []
    assert worker.open() == "new"


def test_ccache_is_the_workers_own(worker: Worker) -> None:
    worker.open()
    (worker.objects / "GNUmakefile").write_text("%:\n\t@echo $(CC) in $$CCACHE_DIR\n")
    command = make_command(jobs=1, arch="x86_64", prefix="x-", ccache=True)
    environment = make_environment(epoch=7, ccache=True, compiler="gcc 12")
    done = subprocess.run(
        command,
        cwd=worker.objects,
        env={**plain_environment(), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == f"ccache x-gcc in {worker.base}/ccache"
    other = make_environment(epoch=7, ccache=True, compiler="gcc 13")
    assert environment["CCACHE_COMPILERCHECK"] != other["CCACHE_COMPILERCHECK"]


def test_strange_answers() -> None:
    with pytest.raises(MiniosError, match="did not say where"):
        parse_opened("minios-folder\tmaybe\n")
    with pytest.raises(MiniosError, match="did not say what"):
        parse_checked("")
    assert not parse_checked("minios-check\tsame\nminios-check\tdiffers\n")


def test_family_depends_on_every_part() -> None:
    assert family_of("ab", "c") != family_of("a", "bc")


def test_scripts_are_plain() -> None:
    for script in (OPEN, clean_check_command("x86_64", ())[2]):
        for bashism in ("[[", "local ", "$'", "<<<", "function "):
            assert bashism not in script
