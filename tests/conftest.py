"""Fixtures of the integration and system tests: real sources, small configurations, commands."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from cachebed import CACHE, filling
from sharing import ByFile
from userland import ROOT, Minios, copy_config, seed_kits

from minios_steps.core.cancel import never
from minios_steps.core.config.load import load_project
from minios_steps.core.musl.kit import obtain_kit
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.sources.fetch import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def pytest_configure() -> None:
    """Signals are a part of some tests: shells ignore SIGINT for a job in the background, nohup SIGHUP."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    # How wide somebody's terminal is.
    os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, so that `-m unit` is what needs no network."""
    for item in items:
        item.add_marker(item.path.relative_to(ROOT / "tests").parts[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Share the tests out by files, when there are several processes."""
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _usual_signals() -> None:
    """Twisted and Buildbot, which some tests run, leave their handlers of signals behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tarballs() -> Callable[[str], Path]:
    """Fetches a pinned release's real tarball by the configured mirrors; returns where it is."""
    project = load_project(ROOT / "config")

    def get(version: str) -> Path:
        with filling("sources"):
            return fetch(
                project.version(version),
                project.sources,
                cache=SourceCache(CACHE),
                config_root=project.root,
                report=print,
                cancelled=lambda: False,
            ).path

    return get


@pytest.fixture(scope="session")
def kits() -> Path:
    """A cache that has the musl of every configured CPU, so that no test fetches it for itself."""
    with filling("musl"):
        for arch in load_project(ROOT / "config").arches.values():
            obtain_kit(arch, CACHE / "musl", report=print, cancelled=never)
    return CACHE / "musl"


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    """Makes sure commands, and root, are there: else a test is skipped, but fails where CI is set."""

    def check(*commands: str, root: bool = False) -> None:
        missing = [name for name in commands if not shutil.which(name)]
        if root and os.geteuid() != 0:
            missing.append("root")
        if missing and os.environ.get("CI"):
            pytest.fail(f"missing on this machine: {', '.join(missing)}")
        if missing:
            pytest.skip(f"missing on this machine: {', '.join(missing)}")

    return check


@pytest.fixture(scope="session")
def running() -> Iterator[list[Minios]]:
    """Every `Minios` of the session; masters they brought up are stopped at the end."""
    made: list[Minios] = []
    yield made
    for one in made:
        if (one.state / "run.json").exists():
            one.run("down", timeout=60)


@pytest.fixture
def minios(running: list[Minios], tmp_path: Path, kits: Path) -> Callable[..., Minios]:
    """Makes a `Minios` for a configuration, in the test's own folder or another."""

    def make(config: Path, folder: Path | None = None, *, seeded: bool = True) -> Minios:
        running.append(Minios(config, folder or tmp_path))
        running[-1].folder.mkdir(parents=True, exist_ok=True)
        if seeded:
            seed_kits(running[-1].state, kits)
        return running[-1]

    return make


@pytest.fixture
def config_copy(tmp_path: Path, tarballs: Callable[[str], Path]) -> Callable[..., Path]:
    """Makes a copy of the real configuration below the test's folder: see `copy_config`."""

    def make(*, name: str = "config", **choices: Any) -> Path:
        return copy_config(tmp_path / name, tarballs("1.38.0"), **choices)

    return make
