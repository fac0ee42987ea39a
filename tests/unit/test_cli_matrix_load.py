from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from enginebed import FakeEngine, fake_engine
from masterbed import CHILD, VERSION, cell, release
from minios_master import embedded, matrix_run
from minios_master.cli.main import run
from minios_master.matrix_run import MatrixRun, Outcome
from sealedbed import put_release

from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The master that is started is a made-up one."""
    monkeypatch.setattr(embedded, "_BUILDBOT", CHILD)
    monkeypatch.setattr(matrix_run, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(matrix_run, "SHOW_SECONDS", 0)
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "config")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    with fake_engine() as made:
        monkeypatch.setenv("DOCKER_HOST", made.host)
        yield made


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the run says that it released; it is there."""
    index = put_release(LayoutStore(Layout(tmp_path / "out" / "minios")), tmp_path)
    told = release(index=str(index.descriptor.digest))

    def outcome(*_: Any) -> Outcome:
        return Outcome((cell("x86_64"),), (told,), 1.0, "")

    monkeypatch.setattr(MatrixRun, "run", outcome)
    return told


def minios(*words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(["matrix", "--config", "config", "--load", *words])
    return done.value.code


@pytest.mark.usefixtures("released")
def test_the_image_is_loaded_and_the_command_is_told(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert minios() == 0
    assert set(engine.loaded) == {f"tiny:{VERSION}", "tiny:latest"}
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"linux/amd64 is in the Docker engine as tiny:{VERSION}, tiny:latest",
        f"run it: docker run --rm -it tiny:{VERSION}",
    ]
    assert minios("--json") == 0
    [loaded] = json.loads(capsys.readouterr().out)["loaded"]
    assert loaded["run"] == f"docker run --rm -it tiny:{VERSION}"
    assert loaded["platform"] == "linux/amd64"


def test_no_engine_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert minios() == 2
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "minios: no Docker engine answers at unix:///nowhere/docker.sock: No such file or directory",
        "  hint: start one, or set DOCKER_HOST; the user must be allowed to use it",
    ]
    assert said.out == ""
    assert not (tmp_path / ".state").exists()


def test_an_engine_of_another_cpu_is_told_before_anything_starts(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.told["Arch"] = "s390x"
    assert minios() == 2
    said = capsys.readouterr().err
    assert "the Docker engine runs linux/s390x, and this run builds linux/amd64, linux/sw64" in said
    assert not (tmp_path / ".state").exists()


def test_what_was_built_is_told_even_when_the_engine_refuses(
    engine: FakeEngine, released: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.refusal = "no space left on device"
    assert minios("--json") == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["releases"] == [released]
    assert "no space left on device" in said.err
    assert minios() == 2
    said = capsys.readouterr()
    assert f"{VERSION} static is released" in said.out


def test_nothing_released_loads_nothing(engine: FakeEngine, released: dict[str, Any]) -> None:
    released.update(release("blocked", tags=[], index=""))
    assert minios() == 1
    assert engine.archives == []
