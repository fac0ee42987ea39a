from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from minios_master.cli import doctor as doctor_module
from minios_master.cli.main import run
from minios_master.machine import ArchSupport, Survey

if TYPE_CHECKING:
    from pathlib import Path

GCC = ArchSupport("x86_64", "required", "native", "gcc", "", (), "", "musl 1.2.5-3")
SW64 = ArchSupport("sw64", "optional", "none", "", "", (), "no cross compiler is known: [attach] one")
ARM = ArchSupport("aarch64", "required", "none", "", "", ("gcc-aarch64-linux-gnu",), "it was not found")
GOOD = Survey("x86_64", (GCC, SW64), (), ())
BAD = Survey("x86_64", (GCC, ARM, SW64), ("bzip2",), ("bzip2", "gcc-aarch64-linux-gnu"))


class Doctor:
    """The command on a machine whose surveys are given; what would be installed is written down."""

    def __init__(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = config
        self.surveys = [GOOD]
        self.installed: list[str] = []
        self.user = 0
        monkeypatch.setattr(doctor_module, "survey", lambda _project, _cache: self.surveys.pop(0))
        monkeypatch.setattr(doctor_module, "install", self.installed.extend)
        monkeypatch.setattr(doctor_module, "install_line", lambda names: names and f"apt {' '.join(names)}")
        monkeypatch.setattr(doctor_module, "engine_version", lambda: "")
        monkeypatch.setattr(os, "geteuid", lambda: self.user)

    def run(self, *words: str) -> Any:
        with pytest.raises(SystemExit) as done:
            run(["doctor", "--config", str(self.config), *words])
        return done.value.code


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(write_config(tmp_path / "config"), monkeypatch)


def test_good_machine(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run() == 0
    said = capsys.readouterr().out
    assert "[attach] one" in said, "a note is not markup"
    assert "\x1b" not in said
    assert "tools: all here" in said
    assert "To install" not in said
    assert "musl 1.2.5-3" in said


def test_required_arch_that_cannot_be_built(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.surveys = [BAD]
    assert doctor.run() == 1
    said = capsys.readouterr().out
    assert "tools missing: bzip2" in said
    assert "  apt bzip2 gcc-aarch64-linux-gnu\n" in said


def test_json(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.surveys = [BAD]
    assert doctor.run("--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is False
    assert told["install"] == "apt bzip2 gcc-aarch64-linux-gnu"
    assert [arch["builds"] for arch in told["arches"]] == [True, False, False]


def test_install_then_look_again(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.surveys = [BAD, GOOD]
    assert doctor.run("--install") == 0
    assert doctor.installed == ["bzip2", "gcc-aarch64-linux-gnu"]
    assert "tools: all here" in capsys.readouterr().out


def test_install_is_for_root(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.surveys, doctor.user = [BAD], 1000
    assert doctor.run("--install") == 2
    said = capsys.readouterr()
    assert said.err == ("minios: only root can install packages\n  hint: apt bzip2 gcc-aarch64-linux-gnu\n")
    assert said.out == ""
    assert doctor.installed == []


def test_nothing_to_install(doctor: Doctor) -> None:
    doctor.user = 1000
    assert doctor.run("--install") == 0
    assert doctor.installed == []
