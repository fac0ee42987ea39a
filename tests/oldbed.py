"""An old Debian as a vendor's machine: made once, kept between test runs, never written to."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

SUITE = "bullseye"
PACKAGES = (
    *("python3", "gcc", "libc6-dev", "make", "bzip2"),
    # The compilers of CPUs that cannot be had here: with these it stands in for machines of theirs.
    *("gcc-alpha-linux-gnu", "libc6.1-dev-alpha-cross"),
    *("gcc-s390x-linux-gnu", "libc6-dev-s390x-cross"),
)
EMULATORS = ("qemu-alpha-static", "qemu-s390x-static")
"""Those CPUs themselves, from this machine: the old system's own would be 300 MB for these two files."""
_SECONDS = 600


def old_debian(cache: Path, today: dt.date) -> Path:
    """The root of an old Debian, from the mirror that this machine is configured for.

    Args:
        cache: where it is kept: a minute of work and a gigabyte, anew each month.
        today: the date.
    """
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES, *EMULATORS)).encode()).hexdigest()[:8]
    root = cache / f"{SUITE}-{today:%Y-%m}-{key}"
    if not root.exists():
        for old in cache.glob(f"{SUITE}*"):
            shutil.rmtree(old)
        making = cache / f"{SUITE}.part"
        making.mkdir(parents=True)
        packages = ",".join(PACKAGES)
        # Ended in the middle it leaves no process, and nothing mounted.
        alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        words = ("debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(making), _mirror())
        done = subprocess.run([*alone, *words], capture_output=True, text=True, timeout=_SECONDS, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        for name in EMULATORS:
            shutil.copy(shutil.which(name) or name, making / "usr" / "local" / "bin")
        making.rename(root)
    return root


def _mirror() -> str:
    """Where this machine's own packages come from."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.rstrip("/").endswith("/debian")]
    assert found, "apt knows no Debian mirror"
    return found[0]
