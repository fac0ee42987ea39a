"""The cross compiler against the CPU's own compiler under QEMU user emulation: the same files, alternating.

Both compile BusyBox's default configuration for arm64 against Debian's glibc, with the release of gcc
that Debian 12 has for each. Emulated, all of it takes some nine minutes, so one folder of it is
compiled, after another one has made make build its helpers; `--full` compiles and links everything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING

from foreign_system import emulation, make_system
from options import Ratios, median
from pipeline import ROOT, tarball
from table import Bound, Row

from minios_steps.core.config.load import load_project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from options import Options

BOUND = Bound(12, at_least=True)
ARCH, DEBIAN, EMULATOR, CROSS = "aarch64", "arm64", "qemu-aarch64", "aarch64-linux-gnu-"
HELPERS = "printutils/"
"""The folder that is compiled first, and not measured."""
PART, QUICK_PART, ALL = "coreutils/", "editors/", "busybox"
_LOG = 2000


def rows(options: Options) -> list[Row]:
    """How many times faster; needs root, debootstrap, and the packages of `tests/packages.txt`."""
    project = load_project(ROOT / "config")
    spec = project.arches[ARCH]
    goal = ALL if options.full else QUICK_PART if options.quick else PART
    root = make_system(options.cache / f"system-{DEBIAN}", DEBIAN)
    with tarfile.open(tarball(project, options)) as archive:
        archive.extractall(options.folder, filter="data")
    [tree] = options.folder.glob("busybox-*")
    for patch in project.patches(project.version("newest")):
        subprocess.run(["git", "apply", str(patch)], cwd=tree, check=True)
    make = ("make", f"-j{os.cpu_count()}", f"ARCH={spec.busybox_arch}")
    subprocess.run([*make, "defconfig"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    home = root / "home" / options.folder.name
    cross: list[float] = []
    emulated: list[float] = []
    files = 0
    try:
        with emulation(EMULATOR):
            for number in range(1 if options.full else options.rounds):
                ours = shutil.copytree(tree, options.folder / f"cross-{number}", symlinks=True)
                theirs = shutil.copytree(tree, home / str(number), symlinks=True)
                inside = (
                    "chroot",
                    str(root),
                    "sh",
                    "-c",
                    'cd "$0" && exec "$@"',
                    f"/{theirs.relative_to(root)}",
                )
                cross.append(_compile((*make, f"CROSS_COMPILE={CROSS}"), ours, goal))
                emulated.append(_compile((*inside, *make), theirs, goal))
                files = len(list(ours.rglob("*.o")))
                options.say(f"{goal}: cross {cross[-1]:.1f} s, emulated {emulated[-1]:.1f} s")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    # How many times faster: the emulated one by ours.
    ratios = Ratios(cross, emulated)
    what = "all of BusyBox" if options.full else f"BusyBox's {goal} of {files} objects in all made"
    return [
        Row(
            f"cross compiler, {ARCH}, {what}; {DEBIAN}'s own gcc under QEMU",
            baseline=f"{median(emulated):.1f} s",
            ours=f"{median(cross):.1f} s",
            ratio=ratios.middle,
            bound=BOUND,
            least=ratios.least,
            most=ratios.most,
        )
    ]


def _compile(make: Sequence[str], tree: Path, goal: str) -> float:
    """Compile the goal in a tree where only the helpers were made; returns seconds."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    for what in (HELPERS, goal):
        started = time.monotonic()
        done = subprocess.run(
            [*make, what],
            cwd=tree,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"make {what} failed: {done.stdout[-_LOG:].decode('utf-8', 'replace')}")
    return time.monotonic() - started
