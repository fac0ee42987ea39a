"""The command line as a user runs it, and small copies of the real configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Minios:
    """The command line, run as a user runs it, on one configuration and state folder."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.state = folder / "state"
        self.out = folder / "out" / "minios"
        self.first: subprocess.CompletedProcess[str] | None = None

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


def copy_config(
    folder: Path, tarball: Path, *, tiny: bool = False, arches: dict[str, str] | None = None
) -> Path:
    """Copy the real configuration, with the source of 1.38.0 from a folder of its own.

    `tiny=True` has a few applets on top of `allnoconfig`: it compiles in seconds. `arches`
    are the roles of `minios.yaml`.
    """
    shutil.copytree(ROOT / "config", folder)
    (folder / "mirror").mkdir()
    shutil.copy(tarball, folder / "mirror" / "busybox-1.38.0.tar.bz2")
    replace_block(folder / "sources.yaml", "mirrors", MIRRORS)
    # A test asks no upstream but its own.
    replace_block(folder / "minios.yaml", "upstream", "")
    # Nor does it depend on the time of the day.
    replace_block(folder / "minios.yaml", "nightly", "")
    if arches is not None:
        lines = "".join(f"  {arch}: {role}\n" for arch, role in arches.items())
        replace_block(folder / "minios.yaml", "arches", f"arches:\n{lines}")
    if tiny:
        replace_block(folder / "minios.yaml", "kconfig_base", "kconfig_base: allnoconfig\n")
        (folder / "kconfig" / "base.config").write_text(TINY, "utf-8")
    return folder


def seed_kits(state: Path, kits: Path) -> None:
    """Give a state folder the musl that others have fetched."""
    shutil.copytree(kits, state / "cache" / "musl", dirs_exist_ok=True)


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
