"""The probe on this machine, with made-up compilers on its PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from archbed import make_arch
from minios_master import local_probe
from minios_master.local_probe import probe_local
from muslbed import TRIPLET, FakeDebian, musl_arch

from minios_steps.core.errors import MiniosError
from minios_steps.core.toolchain import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

GCC = """#!/bin/sh
case "$1" in
    -v) echo 'gcc version 12.2.0 (made up)' >&2 ;;
    -dumpmachine) echo aarch64-linux-gnu ;;
    -x) while read -r line; do case $line in minios*GLIBC*) echo minios $MACROS ;; esac; done ;;
esac
"""


@pytest.fixture(autouse=True)
def compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "compilers"
    folder.mkdir()
    for name, script in (("uname", "#!/bin/sh\necho x86_64\n"), ("aarch64-linux-gnu-gcc", GCC)):
        (folder / name).write_text(script, "utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("MACROS", "2 36 __UCLIBC__")
    return folder


def test_glibc_leaves_nothing(tmp_path: Path) -> None:
    found = probe_local(make_arch(), tmp_path / "cache")
    assert (found.prefix, found.libc) == ("aarch64-linux-gnu-", "glibc 2.36")
    assert not (tmp_path / "cache").exists()


def test_musl_is_put_below_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian = FakeDebian(tmp_path / "fake", monkeypatch)
    monkeypatch.setenv("MACROS", "__GLIBC__ __GLIBC_MINOR__ __UCLIBC__")
    cache = tmp_path / "cache"
    found = probe_local(musl_arch(), cache)
    again = probe_local(musl_arch(), cache)
    assert (again.prefix, again.identity) == (found.prefix, found.identity)
    assert found.libc == "musl 1.2.5-3"
    assert found.prefix.startswith(f"{cache}/musl/here/minios-musl-{TRIPLET}-")
    assert found.prefix.endswith(f"/bin/{TRIPLET}-")
    assert str(tmp_path) not in found.identity
    assert debian.log == ["update", "download"]
    found.check_against(musl_arch())


def test_no_compiler(compilers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (compilers / "aarch64-linux-gnu-gcc").unlink()
    FakeDebian(tmp_path / "fake", monkeypatch)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "fake" / "bin"), str(compilers))))
    for name in ("cat", "cp", "df", "sh"):
        (compilers / name).symlink_to(shutil.which(name, path="/bin:/usr/bin") or "")
    for arch in (make_arch(), musl_arch()):
        with pytest.raises(ToolchainError, match="aarch64-linux-gnu-gcc was not found"):
            probe_local(arch, tmp_path / "cache")


def test_a_probe_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: Any, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 60)

    monkeypatch.setattr(local_probe.subprocess, "run", hang)
    with pytest.raises(MiniosError, match="the toolchain probe for aarch64 took more than 60 s"):
        probe_local(make_arch(), tmp_path)
