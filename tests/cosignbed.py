"""The real cosign, where Debian has it: from the path, or out of its package, unpacked beside the tests.

apt gets state of its own, so the machine's is neither read nor changed, and nothing is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minios_steps.core.sources.apt_sources import debian_archives, read_apt_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

SUITE = "trixie"
"""The first stable release of Debian that has cosign."""
_SECONDS = 300


class UnavailableError(Exception):
    """This machine cannot have cosign; the text says why."""


@dataclass(frozen=True)
class Cosign:
    """The program, and a home of its own for what it keeps."""

    program: str
    home: Path

    def run(self, *words: str, password: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *words],
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "HOME": str(self.home), "COSIGN_PASSWORD": password},
        )

    def verify(self, reference: str, *words: str, verb: str = "verify") -> subprocess.CompletedProcess[str]:
        """`cosign verify`; nothing of these tests is in a public log, and they reach none."""
        return self.run(verb, "--key", "key.pub", "--insecure-ignore-tlog=true", *words, reference)

    def sign(self, reference: str) -> subprocess.CompletedProcess[str]:
        """`cosign sign` with `key.key`, under a tag and without a public log, as all versions can."""
        newer: tuple[str, ...] = ()
        if "--use-signing-config" in self.run("sign", "--help").stdout:
            # cosign 3 would write a sigstore bundle. The second flag is not in its help.
            newer = ("--use-signing-config=false", "--new-bundle-format=false")
        return self.run("sign", "--key", "key.key", "--tlog-upload=false", "--yes", *newer, reference)


def get_cosign(folder: Path) -> str:
    """The program's path.

    Args:
        folder: a new one to unpack into.

    Raises:
        UnavailableError: there is none, and apt cannot bring it.
    """
    if found := shutil.which("cosign"):
        return found
    if missing := [name for name in ("apt-get", "dpkg-deb") if not shutil.which(name)]:
        raise UnavailableError(f"no cosign on this machine, and no {missing[0]} to get it")
    archives = debian_archives(
        read_apt_sources(Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d")), [SUITE, "bookworm"]
    )
    if not archives:
        raise UnavailableError("apt's sources name no Debian archive")
    for name in ("state/lists/partial", "cache/archives/partial", "sources"):
        (folder / name).mkdir(parents=True)
    (folder / "state" / "status").touch()
    stanza = archives[0].stanza(SUITE, "deb")
    (folder / "sources" / "cosign.sources").write_text(stanza, "utf-8")
    (folder / "apt.conf").write_text(_CONFIGURATION.format(folder=folder), "utf-8")
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    _run(["apt-get", "-q", "update"], folder, environment)
    _run(["apt-get", "-q", "download", "cosign"], folder, environment)
    (package,) = folder.glob("cosign_*.deb")
    _run(["dpkg-deb", "-x", package.name, "root"], folder, environment)
    return str(folder / "root/usr/bin/cosign")


_CONFIGURATION = """\
Acquire::Languages "none";
APT::Sandbox::User "";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::Etc::preferencesparts "/dev/null";
"""


def _run(words: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if done.returncode:
        raise UnavailableError(f"{' '.join(words[:3])}: {done.stderr.strip()[-300:]}")
