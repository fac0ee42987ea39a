"""minios as its users run it: a master that is up, and `minios matrix` on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minios_master.machine import local_arches

from minios_steps.core.cancel import never
from minios_steps.core.config.load import load_project
from minios_steps.core.musl.kit import obtain_kit
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.sources.fetch import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from options import Options

    from minios_steps.core.config.project import Project

ROOT = Path(__file__).resolve().parents[2]
MINIOS = (sys.executable, "-c", "from minios_master.cli.main import run; run()")
_VERSION = "newest"
_KEPT = ("sources", "musl")
"""Of a state folder's cache."""


@dataclass(frozen=True)
class Run:
    """A `minios matrix` that ended well: seconds from its start to its end, and its cells."""

    seconds: float
    cells: list[dict[str, Any]]

    @property
    def digests(self) -> list[str]:
        """The images' digests, in the order of the cells."""
        return [cell["digest"] for cell in self.cells]


@dataclass(frozen=True)
class Pipeline:
    """A configuration, a state folder, and the environment that the master is started in."""

    config: Path
    state: Path
    environment: Mapping[str, str]

    def run(self, *words: str, stdout: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[bytes]:
        """A command of minios; raises `CalledProcessError` when it fails."""
        base = (*MINIOS, "--config", str(self.config), "--state", str(self.state))
        return subprocess.run(
            (*base, *words),
            cwd=self.state.parent,
            env=dict(self.environment),
            check=True,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )

    @contextmanager
    def up(self) -> Iterator[float]:
        """The master, while the block runs; gives the seconds that it took to be ready."""
        started = time.monotonic()
        self.run("up")
        try:
            yield time.monotonic() - started
        finally:
            self.run("down")

    def matrix(self, *words: str) -> Run:
        """A run of the matrix.

        Raises:
            CalledProcessError: it failed.
        """
        started = time.monotonic()
        done = self.run("matrix", *words, "--json", stdout=subprocess.PIPE)
        seconds = time.monotonic() - started
        return Run(seconds, json.loads(done.stdout)["cells"])


def make_pipeline(options: Options, folder: Path, *, path: str = "") -> Pipeline:
    """A new pipeline in a new folder, with a copy of the configuration and nothing to download.

    Args:
        options: of the bench.
        folder: to be made.
        path: the PATH that the master and its workers see; this process's own when not given.
    """
    seed(options)
    for part in _KEPT:
        # Not all: the emulated compiler's system is beside them, with devices nobody can copy.
        shutil.copytree(options.cache / part, folder / "state" / "cache" / part)
    shutil.copytree(ROOT / "config", folder / "config")
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return Pipeline(folder / "config", folder / "state", environment)


def seed(options: Options) -> None:
    """Fetch the newest release and every musl into the cache, once."""
    project = load_project(ROOT / "config")
    tarball(project, options)
    for arch in project.arches.values():
        obtain_kit(arch, options.cache / "musl", report=options.say, cancelled=never)


def tarball(project: Project, options: Options) -> Path:
    """The newest release's verified tarball."""
    return fetch(
        project.version(_VERSION),
        project.sources,
        cache=SourceCache(options.cache / "sources"),
        config_root=project.root,
        report=options.say,
        cancelled=never,
    ).path


def arches_of(options: Options, project: Project) -> list[str]:
    """The CPUs to measure with: the first one alone when it has to be quick."""
    found = list(options.arches) or sorted(local_arches(project), key=lambda name: name != "x86_64")
    return found[:1] if options.quick else found
