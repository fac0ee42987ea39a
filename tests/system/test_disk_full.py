"""A full disk: one clear line, nothing half published."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from userland import Minios

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk(need: Any, tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a database but not for a build."""
    need("mount", root=True)
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_the_build_folder_is_full(config_copy: Any, small_disk: Path) -> None:
    config: Path = config_copy(tiny=True, arches={"x86_64": "required"})
    # Fetching musl would fill it first.
    with (config / "arches" / "x86_64.yaml").open("a", encoding="utf-8") as stream:
        stream.write("libc: glibc\n")
    cli = Minios(config, small_disk)
    done = cli.run("matrix", "--out", str(small_disk / "out"), "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    [cell] = json.loads(done.stdout)["cells"]
    assert cell["outcome"] == "failed"
    assert "MB free in the build folder" in cell["reason"]
    assert not (small_disk / "out").exists()


def test_the_destination_is_full(config_copy: Any, minios: Any, small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb") as stream:
        stream.write(bytes(small_disk.stat().st_blksize * 3050))
    cli = minios(config_copy(tiny=True, arches={"x86_64": "required"}))
    done = cli.run("matrix", "--out", str(small_disk / "out"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No space left on device" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (small_disk / "out").exists()
    # With room again nothing is compiled again.
    (small_disk / "ballast").unlink()
    again = json.loads(cli.run("matrix", "--out", str(small_disk / "out"), "--json").stdout)
    assert [cell["outcome"] for cell in again["cells"]] == ["reused"]
    assert [release["outcome"] for release in again["releases"]] == ["released"]
