from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.cli import plan as module
from minios_master.cli.main import run
from minios_master.remote.folders import RemoteFolder
from probebed import foreign, keep_probe
from releasebed import FILES, IDENTITY, cell, make_project, put_candidate

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project

ATTACH = "see [vendor.md] :x:"


class Compiler:
    """What `cell_inputs` asks of a toolchain."""

    identity = IDENTITY
    prefix = ""


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Project:
    monkeypatch.chdir(tmp_path)
    machine(monkeypatch, x86_64=Compiler(), aarch64=Compiler())
    sw64 = FILES["arches/sw64.yaml"].replace("start a worker on a sw64 machine", f'"{ATTACH}"')
    return make_project(tmp_path / "config", {"arches/sw64.yaml": sw64})


def machine(monkeypatch: pytest.MonkeyPatch, **compilers: Any) -> list[str]:
    """What this machine compiles for; an error is what its probe raises. Returns what will be probed."""
    probed: list[str] = []

    def probe(arch: Any, _cache: Path) -> Any:
        probed.append(arch.name)
        found = compilers[arch.name]
        if isinstance(found, MiniosError):
            raise found
        return found

    monkeypatch.setattr(module, "local_arches", lambda _project: tuple(compilers))
    monkeypatch.setattr(module, "probe_local", probe)
    return probed


def plan(*words: str) -> int:
    with pytest.raises(SystemExit) as done:
        run(["plan", "--config", "config", "--state", "state", *words])
    return int(str(done.value.code))


def cells(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    assert plan("--json", *words) == 0
    told = json.loads(capsys.readouterr().out)
    return {f"{one['arch']} {one['version']} {one['variant']}": one for one in told["cells"]}


def test_every_cell_with_what_would_happen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = cells(capsys)
    assert list(found) == ["x86_64 1.38.0 static", "aarch64 1.38.0 static", "sw64 1.38.0 static"]
    x86_64, aarch64, sw64 = found.values()
    assert (x86_64["action"], x86_64["role"]) == ("build", "required")
    assert x86_64["why"]
    assert len({x86_64["key"], aarch64["key"]}) == 2
    assert sw64 == {
        "arch": "sw64",
        "version": "1.38.0",
        "variant": "static",
        "role": "optional",
        "key": "",
        "action": "no-worker",
        "why": f"this machine cannot compile for it; {ATTACH}",
    }
    # Looking changes nothing.
    assert not (tmp_path / "state").exists()


def test_people_see_a_table_and_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan() == 0
    said = capsys.readouterr().out
    assert f"sw64 1.38.0 static: no-worker: this machine cannot compile for it; {ATTACH}\n" in said
    assert "x86_64 1.38.0 static: build: " in said
    assert cells(capsys)["x86_64 1.38.0 static"]["key"].removeprefix("sha256:")[:12] in said


def test_built_cell_is_reused(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = put_candidate(CandidateStore(tmp_path / "state" / "store"), project, cell())
    found = cells(capsys)
    one = found["x86_64 1.38.0 static"]
    assert (one["action"], one["key"]) == ("reuse", str(record.key))
    assert one["why"] == f"built {record.built} as {record.descriptor.digest.short}"
    assert found["aarch64 1.38.0 static"]["action"] == "build"


def test_chosen_cells_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    probed = machine(monkeypatch, x86_64=Compiler(), aarch64=Compiler())
    words = ("--arch", "x86_64", "--version", "1.35.0", "--variant", "dynamic", "--variant", "static")
    assert list(cells(capsys, *words)) == ["x86_64 1.35.0 static", "x86_64 1.35.0 dynamic"]
    assert probed == ["x86_64"]


def test_candidate_is_planned_when_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    [one] = cells(capsys, "--arch", "riscv64").values()
    assert one["role"] == "candidate"


def test_candidates_that_are_not_built_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan() == 0
    line = "riscv64: a candidate, which `minios matrix` leaves alone; `--arch riscv64` builds it"
    assert line in capsys.readouterr().out
    assert plan("--arch", "x86_64") == 0
    assert "riscv64" not in capsys.readouterr().out
    assert plan("--json") == 0
    assert json.loads(capsys.readouterr().out)["unnamed_candidates"] == ["riscv64"]


def test_worker_of_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remote, now = RemoteFolder(tmp_path / "state" / "remote"), dt.datetime.now(dt.timezone.utc)
    for name in ("sw64-1", "sw64-2"):
        _, secret = remote.roster.invite(name, "sw64", 0, now, dt.timedelta(days=1))
        remote.roster.redeem(name, secret, "p" * 43, {}, now)
    assert cells(capsys)["sw64 1.38.0 static"]["action"] == "no-worker"
    keep_probe(remote, "sw64-1", foreign(0x9916, uname="sw64"))
    found = cells(capsys)["sw64 1.38.0 static"]
    assert (found["action"], found["key"]) == ("remote", "")
    assert found["why"].startswith("sw64-1 compiles for it while a master is up")


def test_broken_compiler_fails_its_own_cells_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = MiniosError("sw_64-sunway-linux-gnu-gcc was not found", hint="install it")
    machine(monkeypatch, x86_64=Compiler(), sw64=broken)
    found = cells(capsys)
    assert found["x86_64 1.38.0 static"]["action"] == "build"
    assert found["sw64 1.38.0 static"]["action"] == "fail"
    assert found["sw64 1.38.0 static"]["why"] == str(broken)


def test_other_backend_is_another_cell(capsys: pytest.CaptureFixture[str]) -> None:
    plain, other = (cells(capsys, *words)["x86_64 1.38.0 static"] for words in ((), ("--backend", "docker")))
    assert plain["key"] != other["key"]
    assert cells(capsys, "--backend", "oci")["x86_64 1.38.0 static"]["key"] == plain["key"]
    assert plan("--backend", "podman") == 2


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan("--version", "9.9.9") == 2
    assert capsys.readouterr().err.startswith("minios: version '9.9.9' is not pinned")
