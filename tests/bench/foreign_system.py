"""A Debian of another CPU with a compiler of its own, which this kernel runs through QEMU."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "bookworm"
PACKAGES = "gcc,libc6-dev,make,bzip2,binutils"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_SECONDS = 900


def make_system(root: Path, debian: str) -> Path:
    """Unpack the system, once; nothing of it is run for that. Needs root, debootstrap and dpkg-deb.

    Args:
        root: where it shall be.
        debian: Debian's name of the CPU, such as `arm64`.
    """
    if not (root / "made").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        _run(
            *("debootstrap", "--foreign", "--variant=minbase", f"--arch={debian}", f"--include={PACKAGES}"),
            *(SUITE, str(root), _mirror()),
        )
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(root))
        (root / "made").touch()
    return root


@contextmanager
def emulation(name: str) -> Iterator[None]:
    """The kernel runs programs of a CPU through QEMU; what was not so before is undone at the end.

    Args:
        name: of the emulator in binfmt_misc, such as `qemu-aarch64`.
    """
    mounted = not (_BINFMT / "register").exists()
    if mounted:
        _run("mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT))
    enabled = not (_BINFMT / name).exists()
    try:
        if enabled:
            _run("update-binfmts", "--enable", name)
        yield
    finally:
        if enabled:
            subprocess.run(["update-binfmts", "--disable", name], check=False)
        if mounted:
            subprocess.run(["umount", str(_BINFMT)], check=False)


def _mirror() -> str:
    """Where this machine's own packages come from."""
    told = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian").split()
    found = [line for line in told if line.rstrip("/").endswith("/debian")]
    if not found:
        raise RuntimeError("apt knows no Debian mirror")
    return found[0]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
