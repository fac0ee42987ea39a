"""The real scripts on a made-up release: what kbuild has done once in a folder is not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from folderbed import Worker

from minios_steps.core.build_folder import BUSY, GENERATED
from minios_steps.core.make import configure_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_the_source_is_read_once_a_folder(worker: Worker) -> None:
    worker.open()
    assert worker.make().count("GEN     Kbuild") == 1
    assert (worker.objects / ".config").read_text() == "x86_64 oldconfig\nx86_64 silentoldconfig\n"
    worker.open()
    (worker.objects / ".config").unlink()
    assert "GEN" not in worker.make()
    assert (worker.objects / ".config").read_text() == "x86_64 1.38.0 -o\nx86_64 1.38.0 -s\n"
    worker.open(fresh=True)
    assert "GEN     Kbuild" in worker.configure()
    assert sorted(path.name for path in worker.tree.iterdir()) == [".minios-ready", "Makefile", "part.c"]


def test_the_source_was_not_read_where_that_failed(worker: Worker) -> None:
    worker.open()
    (worker.objects / "Kbuild").mkdir()
    worker.run(*configure_command("x86_64"), folder=worker.objects, code=2)
    assert not (worker.objects / GENERATED).exists()


def test_kconfigs_program_is_gone(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    (worker.objects / "scripts" / "kconfig" / "conf").unlink()
    worker.configure()
    assert (worker.objects / "scripts" / "kconfig" / "conf").exists()


def links(told: str) -> list[str]:
    return [line.split()[1] for line in told.splitlines() if line.startswith("  LINK ")]


def test_a_link_without_libraries_is_not_tried_with_them_again(worker: Worker) -> None:
    worker.open()
    assert links(worker.make()) == ["m"]
    worker.open()
    assert links(worker.make()) == ["none"]


def test_a_change_that_needs_a_library(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    (worker.objects / "needs").touch()
    assert links(worker.make()) == ["none", "m"]
    assert not (worker.objects / BUSY).exists()
    worker.open()
    assert links(worker.make()) == ["m"], "what needed one the last time is not tried without"
