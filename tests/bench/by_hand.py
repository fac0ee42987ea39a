"""The same work as one cell, typed by hand: the baseline of the pipeline's bench."""

from __future__ import annotations

import subprocess
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
set -e
mkdir -p build && cd build
tar xf "$TARBALL" && cd busybox-*
for patch in $PATCHES; do git apply "$patch"; done
make ARCH=$BB_ARCH CROSS_COMPILE=$PREFIX defconfig >/dev/null
cat "$FRAGMENT" >> .config
yes '' | make ARCH=$BB_ARCH CROSS_COMPILE=$PREFIX oldconfig >/dev/null 2>&1
make -j$JOBS ARCH=$BB_ARCH CROSS_COMPILE=$PREFIX busybox busybox.links >make.log 2>&1
make ARCH=$BB_ARCH CROSS_COMPILE=$PREFIX CONFIG_PREFIX=../rootfs install >/dev/null
tar czf ../layer.tar.gz -C ../rootfs .
"""


@dataclass(frozen=True)
class HandInputs:
    """What the hand-typed commands need: the same compiler, patches, fragment and job count."""

    tarball: Path
    patches: tuple[Path, ...]
    fragment: str
    make_arch: str
    prefix: str
    epoch: int
    jobs: int


def build_by_hand(inputs: HandInputs, folder: Path, path: str) -> float:
    """Run the commands in a new folder, with a PATH; returns wall-clock seconds."""
    folder.mkdir(parents=True)
    fragment = folder / "fragment.config"
    fragment.write_text(inputs.fragment, "utf-8")
    environment = {
        "PATH": path,
        "LC_ALL": "C",
        "TARBALL": str(inputs.tarball),
        "PATCHES": " ".join(str(path) for path in inputs.patches),
        "FRAGMENT": str(fragment),
        "BB_ARCH": inputs.make_arch,
        "PREFIX": inputs.prefix,
        "JOBS": str(inputs.jobs),
        "SOURCE_DATE_EPOCH": str(inputs.epoch),
        "KCONFIG_NOTIMESTAMP": "1",
    }
    started = time.monotonic()
    subprocess.run(["sh", "-c", SCRIPT], cwd=folder, env=environment, check=True)
    seconds = time.monotonic() - started
    with tarfile.open(folder / "build" / "layer.tar.gz") as layer:
        if "./bin/busybox" not in layer.getnames():
            raise RuntimeError("the hand-typed commands made no bin/busybox")
    return seconds
