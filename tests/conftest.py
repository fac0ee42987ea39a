"""Fixtures of the integration and system tests: real sources, small configurations, commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from minios_steps.core.sources.fetch import fetch

from minios_steps.core.config.load import load_project
from minios_steps.core.sources.cache import SourceCache

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".state" / "test-cache"
"""Verified tarballs, kept between test runs; content-addressed, so no test can spoil another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, so that `-m unit` is what needs no network."""
    for item in items:
        for kind in ("unit", "integration", "system"):
            if f"/tests/{kind}/" in item.path.as_posix():
                item.add_marker(kind)


@pytest.fixture(scope="session")
def tarballs() -> Callable[[str], Path]:
    """Fetches a pinned release's real tarball by the configured mirrors; returns where it is."""
    project = load_project(ROOT / "config")

    def get(version: str) -> Path:
        return fetch(
            project.version(version),
            project.sources,
            cache=SourceCache(CACHE),
            config_root=project.root,
            report=print,
            cancelled=lambda: False,
        ).path

    return get


@pytest.fixture
def need() -> Callable[..., None]:
    """Makes sure commands are there: without them a test is skipped, but fails where CI is set."""

    def check(*commands: str) -> None:
        missing = [name for name in commands if not shutil.which(name)]
        if missing and os.environ.get("CI"):
            pytest.fail(f"missing on this machine: {', '.join(missing)}")
        if missing:
            pytest.skip(f"missing on this machine: {', '.join(missing)}")

    return check


class Minios:
    """The command line, run as a user runs it, on one configuration and state folder."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.state = folder / "state"
        self.out = folder / "out" / "minios"

    def command(self, *words: str) -> list[str]:
        """The whole command line."""
        base = [sys.executable, "-c", "from minios_master.cli.main import run; run()"]
        return [*base, "--config", str(self.config), "--state", str(self.state), *words]

    def run(self, *words: str, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        """Run to the end, in this test's folder."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "COLUMNS": "160"},
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start and leave running; the caller ends it."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def minios(tmp_path: Path) -> Callable[[Path], Minios]:
    """Makes a `Minios` for a configuration; a master it brought up is stopped at the end."""
    made: list[Minios] = []

    def make(config: Path, folder: Path | None = None) -> Minios:
        made.append(Minios(config, folder or tmp_path))
        made[-1].folder.mkdir(parents=True, exist_ok=True)
        return made[-1]

    yield make
    for one in made:
        if (one.state / "run.json").exists():
            one.run("down", timeout=60)


@pytest.fixture
def config_copy(tmp_path: Path, tarballs: Callable[[str], Path]) -> Callable[..., Path]:
    """Makes a copy of the real configuration that takes the source from a folder.

    `tiny=True` has eleven applets on top of `allnoconfig`: it compiles in seconds.
    """

    def make(*, tiny: bool = False, arches: dict[str, str] | None = None, name: str = "config") -> Path:
        folder = tmp_path / name
        shutil.copytree(ROOT / "config", folder)
        mirror = folder / "mirror"
        mirror.mkdir()
        shutil.copy(tarballs("1.38.0"), mirror / "busybox-1.38.0.tar.bz2")
        replace_block(folder / "sources.yaml", "mirrors", MIRRORS)
        if arches is not None:
            lines = "".join(f"  {arch}: {role}\n" for arch, role in arches.items())
            replace_block(folder / "minios.yaml", "arches", f"arches:\n{lines}")
        if tiny:
            replace_block(folder / "minios.yaml", "kconfig_base", "kconfig_base: allnoconfig\n")
            (folder / "kconfig" / "base.config").write_text(TINY, "utf-8")
        return folder

    return make


MIRRORS = """mirrors:
  - kind: file
    path: mirror/busybox-{version}.tar.bz2
"""

TINY = "".join(
    f"CONFIG_{symbol}=y\n"
    for symbol in (
        *("ASH", "SH_IS_ASH", "FEATURE_SH_MATH", "BUSYBOX", "SHOW_USAGE", "FEATURE_VERBOSE_USAGE"),
        *("CAT", "ECHO", "ENV", "LS", "SHA256SUM", "TAR", "FEATURE_TAR_CREATE", "TR", "UNAME", "VI"),
    )
)


def replace_block(path: Path, key: str, text: str) -> None:
    """Replace a top-level YAML key and what is below it by `text`."""
    kept: list[str] = []
    skipping = False
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if not line.startswith((" ", "\n", "#")):
            skipping = line.startswith(f"{key}:")
        if not skipping:
            kept.append(line)
    path.write_text("".join(kept) + text, "utf-8")
