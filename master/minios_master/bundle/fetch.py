"""Fetches a lock's wheels with pip, from the index that this machine is configured for."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from minios_master.printable import printable
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError

from .lock import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .lock import Lock, Pin

SECONDS = 600
_PLATFORMS = ("any", "manylinux2014_x86_64", "manylinux_2_17_x86_64")
"""A package without a pure wheel is taken for one fixed machine: what is compiled in it is left out."""


def fetch_wheels(lock: Lock, cache: Path) -> Mapping[str, Path]:
    """The wheels of a lock by package, each with the digest that the lock says.

    Nothing is run but pip, and pip runs nothing of what it fetches.

    Args:
        lock: what to fetch.
        cache: where wheels are kept, by their digest; with all of them there pip is not called.

    Raises:
        SourceError: pip is missing, fails, or a hash differs.
    """
    cache.mkdir(parents=True, exist_ok=True)
    missing = [pin for pin in lock.pins.values() if not _is_kept(cache, pin)]
    if missing:
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _download(lock, Path(scratch))
            for path in Path(scratch).iterdir():
                path.replace(_place(cache, Digest.of_file(path)))
        for pin in missing:
            if not _is_kept(cache, pin):
                raise SourceError(f"pip did not fetch {pin.name} {pin.version} with the locked hash")
    return {name: _place(cache, pin.digest) for name, pin in lock.pins.items()}


def _is_kept(cache: Path, pin: Pin) -> bool:
    path = _place(cache, pin.digest)
    return path.exists() and Digest.of_file(path) == pin.digest


def _place(cache: Path, digest: Digest) -> Path:
    return cache / f"{digest.hex}.whl"


def _download(lock: Lock, folder: Path) -> None:
    python = dotted(lock.oldest)
    tag = python.replace(".", "")
    # Python 3.7 and older had an `m` in the name of their binary interface (PEP 425).
    interface = f"cp{tag}m" if lock.oldest <= (3, 7) else f"cp{tag}"
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", python, "--abi", interface, "--abi", "none"),
        *(word for name in _PLATFORMS for word in ("--platform", name)),
        *("--dest", str(folder), "--requirement", str(lock.path)),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"pip took more than {SECONDS} s to fetch the bundle's packages") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = printable((lines or done.stderr.splitlines() or ["it said nothing"])[-1])
        raise SourceError(
            f"pip could not fetch the bundle's packages: {why}",
            hint="is a package index configured and reachable?",
            details=done.stderr,
        )
