from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from configbed import SW64, X86_64, changed, write_config
from minios_master.machine import install, install_line, local_arches, survey

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from minios_master.machine import ArchSupport

    from minios_steps.core.config.project import Project

CROSS = """\
cross_prefix: sw_64-sunway-linux-gnu-
emulator: [qemu-sw64]
debian:
  cross: [gcc-sw64, libc6-dev-sw64-cross]
  emulator: [qemu-user-static]
"""
GCC = 'case "$1" in -print-file-name=crt1.o) echo /usr/lib/crt1.o ;; esac'
GCC_WITHOUT_LIBC = 'echo "${1#*=}"'


class Machine:
    """A made-up machine: the programs on its PATH, its uname, and the packages dpkg has."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        monkeypatch.setenv("PATH", str(self.bin))
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        self.log = folder / "log"

    def add(self, *names: str, script: str = "") -> None:
        for name in names:
            path = self.bin / name
            path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
            path.chmod(0o755)

    def add_tools(self) -> None:
        self.add("sh", "make", "tar", "gzip", "bzip2", "git")

    def add_dpkg(self, *installed: str) -> None:
        lines = "".join(f"echo '{name} installed'\n" for name in installed)
        self.add("dpkg-query", script=f"{lines}echo 'gone config-files'; exit 1")

    def add_apt(self, script: str = "") -> None:
        self.add("apt-get", script=f'echo "$DEBIAN_FRONTEND $*" >>{self.log}\n{script}')


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path / "config", {"arches/sw64.yaml": SW64 + CROSS}))


def by_name(project: Project) -> dict[str, ArchSupport]:
    return {arch.name: arch for arch in survey(project, Path()).arches}


@pytest.mark.usefixtures("machine")
def test_bare_machine(project: Project) -> None:
    found = survey(project, Path())
    assert not found.good
    assert found.missing_tools == ("sh", "make", "tar", "gzip", "bzip2", "git")
    assert [arch.how for arch in found.arches] == ["none", "none"]
    assert by_name(project)["x86_64"].note == "gcc was not found"
    assert local_arches(project) == ()
    assert install_line(found.packages) == "", "there is no apt-get on this machine"


def test_native_compiler(machine: Machine, project: Project) -> None:
    machine.add_tools()
    machine.add("gcc", script=GCC)
    found = survey(project, Path())
    assert found.good, "sw64 is optional"
    arch = by_name(project)["x86_64"]
    assert (arch.how, arch.compiler, arch.emulator, arch.note) == ("native", "gcc", "", "")
    assert local_arches(project) == ("x86_64",)


def test_cross_compiler_and_emulator(machine: Machine, project: Project) -> None:
    machine.add_tools()
    machine.add("gcc", "sw_64-sunway-linux-gnu-gcc", script=GCC)
    machine.add("qemu-sw64")
    arch = by_name(project)["sw64"]
    assert (arch.how, arch.compiler) == ("cross", "sw_64-sunway-linux-gnu-gcc")
    assert arch.emulator == str(machine.bin / "qemu-sw64")
    assert (arch.note, arch.packages) == ("", ())
    assert set(local_arches(project)) == {"sw64", "x86_64"}


def test_cross_compiler_needs_a_native_one_for_helpers(machine: Machine, project: Project) -> None:
    machine.add("sw_64-sunway-linux-gnu-gcc", script=GCC)
    assert by_name(project)["sw64"].note.startswith("gcc was not found")


def test_compiler_without_a_c_library_does_not_count(machine: Machine, project: Project) -> None:
    machine.add("gcc", script=GCC)
    machine.add("sw_64-sunway-linux-gnu-gcc", script=GCC_WITHOUT_LIBC)
    arch = by_name(project)["sw64"]
    assert arch.how == "none"
    assert arch.note.startswith("sw_64-sunway-linux-gnu-gcc has no C library to link with")


def test_only_packages_that_are_not_installed_are_asked_for(machine: Machine, project: Project) -> None:
    machine.add_tools()
    machine.add("gcc", script=GCC)
    machine.add_dpkg("gcc-sw64")
    machine.add_apt()
    found = survey(project, Path())
    assert found.packages == ("libc6-dev-sw64-cross", "qemu-user-static")
    line = "apt-get install -y --no-install-recommends libc6-dev-sw64-cross qemu-user-static"
    assert install_line(found.packages) == line


def test_missing_tools_are_packages_too(machine: Machine, project: Project) -> None:
    machine.add("sh", "make", "tar", "gzip")
    machine.add("gcc", script=GCC)
    assert survey(project, Path()).packages[:2] == ("bzip2", "git")


def test_missing_emulator_does_not_keep_from_building(machine: Machine, project: Project) -> None:
    machine.add("gcc", "sw_64-sunway-linux-gnu-gcc", script=GCC)
    arch = by_name(project)["sw64"]
    assert arch.builds
    assert arch.note == "no emulator: its images are not run here"
    assert arch.packages == ("qemu-user-static",)


@pytest.mark.usefixtures("machine")
def test_candidate_is_not_in_the_install_line(tmp_path: Path) -> None:
    changes = {**changed("minios.yaml", "  sw64: optional\n", ""), "arches/sw64.yaml": SW64 + CROSS}
    found = survey(load_project(write_config(tmp_path / "other", changes)), Path())
    sw64 = next(arch for arch in found.arches if arch.name == "sw64")
    assert (sw64.role, sw64.packages[0]) == ("candidate", "gcc-sw64")
    assert "gcc-sw64" not in found.packages


@pytest.mark.usefixtures("machine")
def test_no_compiler_in_the_world_says_how_to_attach(tmp_path: Path) -> None:
    text = SW64 + "attach: ask the vendor\n"
    found = survey(load_project(write_config(tmp_path / "other", {"arches/sw64.yaml": text})), Path())
    sw64 = next(arch for arch in found.arches if arch.name == "sw64")
    assert sw64.note == "no cross compiler is known: ask the vendor"
    assert sw64.packages == ()


@pytest.mark.usefixtures("machine")
def test_listed_local_arches_are_taken_as_they_are(tmp_path: Path) -> None:
    changes = {"workers.yaml": "local:\n  arches: [sw64]\n"}
    assert local_arches(load_project(write_config(tmp_path / "other", changes))) == ("sw64",)


def test_install_line_for_others_than_root(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add_apt()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert install_line(["gcc"]) == "sudo apt-get install -y --no-install-recommends gcc"
    assert install_line([]) == ""
    with pytest.raises(MiniosError, match="only root") as caught:
        install(["gcc"])
    assert caught.value.hint.startswith("sudo apt-get install")
    assert not machine.log.exists()


def test_install_with_lists_as_they_are(machine: Machine) -> None:
    machine.add_apt()
    install(["gcc", "make"])
    assert machine.log.read_text().splitlines() == [
        "noninteractive install -y --no-install-recommends gcc make"
    ]


def test_install_fetches_new_lists_when_the_old_do_not_do(machine: Machine) -> None:
    machine.add_apt(f'case "$1" in update) echo new >>{machine.log} ;; *) grep -q new {machine.log} ;; esac')
    machine.bin.joinpath("grep").symlink_to("/bin/grep")
    install(["gcc"])
    words = [line.split()[:2][-1] for line in machine.log.read_text().splitlines()]
    assert words == ["install", "update", "new", "install"]


def test_install_that_fails_gives_the_line(machine: Machine) -> None:
    machine.add_apt("exit 100")
    with pytest.raises(MiniosError, match="could not install") as caught:
        install(["gcc"])
    assert caught.value.hint == "apt-get install -y --no-install-recommends gcc"


@pytest.mark.usefixtures("machine")
def test_install_without_apt() -> None:
    install([])
    with pytest.raises(MiniosError, match="no apt-get here to install gcc"):
        install(["gcc"])


MUSL = {"arches/x86_64.yaml": X86_64 + "musl: {debian: amd64}\n", "kconfig/libc/musl.config": ""}


def test_musl_that_will_be_fetched(machine: Machine, tmp_path: Path) -> None:
    project = load_project(write_config(tmp_path / "config", MUSL))
    machine.add_tools()
    machine.add("gcc", script=GCC)
    machine.add("apt-get", "apt-cache", "apt-config", "dpkg-deb")
    [arch, _] = sorted(survey(project, tmp_path / "cache").arches, key=lambda arch: not arch.builds)
    assert (arch.name, arch.libc, arch.note) == ("x86_64", "musl", "")


def test_musl_that_cannot_be_fetched(machine: Machine, tmp_path: Path) -> None:
    project = load_project(write_config(tmp_path / "config", MUSL))
    machine.add_tools()
    machine.add("gcc", script=GCC)
    found = survey(project, tmp_path / "cache")
    [arch] = [arch for arch in found.arches if arch.name == "x86_64"]
    assert not arch.builds
    assert not found.good
    assert arch.note == ("musl cannot be fetched without apt-get: write `libc: glibc` in arches/x86_64.yaml")
