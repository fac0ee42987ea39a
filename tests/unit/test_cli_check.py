from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from configbed import changed, write_config
from minios_master.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


def check(config: Path, *words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(["check", "--config", str(config), *words])
    return done.value.code


def test_good_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(write_config(tmp_path / "config")) == 0
    said = capsys.readouterr().out
    assert "linux/sw64" in said
    assert "machine 39190 or 268" in said
    assert f"{tmp_path}/config is good: 2 arches, BusyBox 1.35.0, 1.38.0, 2 cells by default" in said


def test_good_config_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(write_config(tmp_path / "config"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is True
    assert told["arches"] == {"sw64": "optional", "x86_64": "required"}
    assert told["pinned"] == ["1.35.0", "1.38.0"]
    assert sorted(told["cells"]) == ["sw64 1.38.0 static", "x86_64 1.38.0 static"]


def test_every_problem_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {
        **changed("minios.yaml", "  name: tiny\n", "  name: tiny\n  colour: red\n"),
        **changed("arches/x86_64.yaml", "uname: [x86_64]", "uname: []"),
    }
    assert check(write_config(tmp_path / "config", changes)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("minios: ") for line in lines)
    assert "minios.yaml:3: image.colour: unknown key" in said.err
    assert "x86_64.yaml:8: uname:" in said.err


def test_problems_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = changed("minios.yaml", "  name: tiny\n", "  name: tiny\n  colour: red\n")
    assert check(write_config(tmp_path / "config", changes), "--json") == 2
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["good"] is False
    assert len(told["problems"]) == 1
    assert said.err == ""


def test_no_config_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path / "nowhere") == 2
    assert capsys.readouterr().err.startswith(f"minios: {tmp_path}/nowhere: the configuration folder")
