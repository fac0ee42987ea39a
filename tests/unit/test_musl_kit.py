"""Kits from a made-up archive: what is in them, that they stay, and what stands in the way."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from muslbed import DEV, RUNTIME, TRIPLET, FakeDebian, musl_arch

from minios_steps.core.cancel import CancelledError, never
from minios_steps.core.musl.kit import MuslKit, cached_kit, obtain_kit
from minios_steps.core.toolchain import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.arch import Arch


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDebian:
    return FakeDebian(tmp_path / "fake", monkeypatch)


def obtain(folder: Path, arch: Arch | None = None) -> MuslKit:
    found = obtain_kit(arch or musl_arch(), folder / "cache", report=print, cancelled=never)
    assert found is not None
    return found


def content(kit: MuslKit) -> dict[str, str]:
    with tarfile.open(kit.path) as tar:
        found = {}
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            found[member.name] = stream.read().decode() if stream else member.linkname
        return {name: text for name, text in found.items() if text}


@pytest.mark.usefixtures("debian")
def test_what_a_compiler_needs_is_in_it(tmp_path: Path) -> None:
    kit = obtain(tmp_path)
    assert content(kit) == {
        "kit/include/stdio.h": "/* musl */\n",
        "kit/include/sys/types.h": "/* types */\n",
        "kit/lib/libc.a": "!<arch>\n",
        "kit/lib/libc.so": "shared\n",
        "kit/lib/ld-musl-aarch64.so.1": "libc.so",
        "kit/musl-gcc.specs": "-isystem @KIT@/include @KIT@/lib/crt1.o\n",
    }
    assert (kit.triplet, kit.version, kit.suite, kit.libc) == (TRIPLET, "1.2.5-3", "trixie", "musl 1.2.5-3")
    assert len(kit.packages) == 2
    assert kit.name == f"minios-musl-{TRIPLET}-{kit.digest.short}"


def test_it_is_fetched_once_and_the_same_everywhere(debian: FakeDebian, tmp_path: Path) -> None:
    first = obtain(tmp_path)
    assert obtain(tmp_path) == first
    assert debian.log == ["update", "download"]
    assert obtain(tmp_path / "elsewhere").digest == first.digest


def test_a_damaged_one_is_fetched_again(debian: FakeDebian, tmp_path: Path) -> None:
    first = obtain(tmp_path)
    first.path.write_bytes(b"damaged")
    assert cached_kit(musl_arch(), tmp_path / "cache") is None
    assert obtain(tmp_path) == first
    assert debian.log == ["update", "download"] * 2


def test_another_suite_is_another_kit(debian: FakeDebian, tmp_path: Path) -> None:
    obtain(tmp_path)
    debian.package("musl", RUNTIME, "1.2.6-1")
    debian.package("musl-dev", DEV, "1.2.6-1")
    newer = obtain(tmp_path, musl_arch(musl={"debian": "arm64", "suite": "sid"}))
    assert (newer.version, newer.suite) == ("1.2.6-1", "sid")
    assert obtain(tmp_path).version == "1.2.5-3"


def test_libraries_may_be_below_usr(debian: FakeDebian, tmp_path: Path) -> None:
    debian.package("musl", {name.replace("./lib", "./usr/lib"): data for name, data in RUNTIME.items()})
    assert "kit/lib/libc.so" in content(obtain(tmp_path))


def test_an_arch_without_musl_gets_none(tmp_path: Path) -> None:
    for arch in (musl_arch(musl=None), musl_arch(libc="glibc"), musl_arch(musl=None, libc="musl")):
        assert obtain_kit(arch, tmp_path, report=print, cancelled=never) is None
        assert cached_kit(arch, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_offline_says_what_to_write(debian: FakeDebian, tmp_path: Path) -> None:
    (debian.folder / "offline").touch()
    with pytest.raises(ToolchainError) as caught:
        obtain(tmp_path)
    assert str(caught.value) == (
        "musl for aarch64 cannot be had from Debian trixie: apt-get update:"
        " Could not resolve 'mirror.example'"
        " (write `libc: glibc` in arches/aarch64.yaml to link the compiler's own C library)"
    )
    assert not list((tmp_path / "cache").glob("*.tmp"))


@pytest.mark.parametrize(
    ("name", "files", "version", "message"),
    [
        ("musl", RUNTIME, "1.2.6-1", "1.2.5-3 and 1.2.6-1 side by side"),
        ("musl", {"./usr/": None}, "1.2.5-3", "not laid out as expected"),
        ("musl-dev", {"./usr/": None}, "1.2.5-3", "not laid out as expected"),
        ("musl", {f"./lib/{TRIPLET}/libc.so": "../up"}, "1.2.5-3", "is a symlink, expected a file"),
        ("musl", {"../escape": b""}, "1.2.5-3", "cannot be had"),
        ("musl-dev", {f"./usr/lib/{TRIPLET}/crt1.o": b"\x7fELF.debug_"}, "1.2.5-3", "crt1.o cannot be read"),
    ],
)
def test_strange_packages(
    debian: FakeDebian,
    tmp_path: Path,
    name: str,
    files: dict[str, bytes | str | None],
    version: str,
    message: str,
) -> None:
    debian.package(name, files, version)
    with pytest.raises(ToolchainError, match=message):
        obtain(tmp_path)
    assert cached_kit(musl_arch(), tmp_path / "cache") is None


def test_a_package_that_does_not_come(debian: FakeDebian, tmp_path: Path) -> None:
    next((debian.folder / "pool").glob("musl_*")).unlink()
    with pytest.raises(ToolchainError, match="brought 1 packages, not 2"):
        obtain(tmp_path)


def test_dpkg_that_fails(debian: FakeDebian, tmp_path: Path) -> None:
    debian.program("dpkg-deb", "#!/bin/sh\necho 'not a Debian archive' >&2; exit 2\n")
    with pytest.raises(ToolchainError, match=r"musl-dev_.*\.deb cannot be unpacked: not a Debian archive"):
        obtain(tmp_path)


def test_a_machine_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ToolchainError, match="needs dpkg-deb"):
        obtain(tmp_path)
    (tmp_path / "bin" / "dpkg-deb").symlink_to(shutil.which("true", path="/bin:/usr/bin") or "")
    with pytest.raises(ToolchainError, match="needs apt, and there is no apt-get"):
        obtain(tmp_path)


def test_cancelling_stops_apt(debian: FakeDebian, tmp_path: Path) -> None:
    (debian.folder / "hang").touch()
    with pytest.raises(CancelledError):
        obtain_kit(musl_arch(), tmp_path / "cache", report=print, cancelled=(debian.folder / "log").exists)
