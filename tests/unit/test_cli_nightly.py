from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from masterbed import BRID, BUILD, CHILD, properties
from minios_master import embedded, matrix_run
from minios_master.api import MasterApi
from minios_master.cli.main import run
from nightlybed import FIRST, Nights, bad, good

from minios_steps.core.nightly.files import ReportFiles
from minios_steps.core.nightly.text import report_text

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.nightly.report import NightlyReport


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The master that is started is a made-up one; nothing waits long."""
    monkeypatch.setattr(embedded, "_BUILDBOT", CHILD)
    monkeypatch.setattr(matrix_run, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(matrix_run, "SHOW_SECONDS", 0)
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "config")


def minios(*words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(["nightly", *words, "--config", "config"])
    return done.value.code


def night(monkeypatch: pytest.MonkeyPatch, report: NightlyReport | None, **more: Any) -> list[Any]:
    """The made-up master has a builder of nightlies, whose build ends with this report."""
    asked: list[Any] = []
    told = {"nightly_report": report.as_json()} if report else {}
    answers = {
        "builders/2/buildrequests": {"buildrequests": []},
        f"builds/{BUILD}/properties": properties(**told, **more),
    }
    get, control = MasterApi.get, MasterApi.control

    def fake_get(self: MasterApi, path: str, **query: Any) -> Any:
        if path == "builders" and query == {"name": "nightly"}:
            return {"builders": [{"builderid": 2, "name": "nightly"}]}
        return answers[path] if path in answers else get(self, path, **query)

    def fake_control(self: MasterApi, path: str, method: str, **params: Any) -> Any:
        asked.append((path, method, params))
        return control(self, path, method, **params)

    monkeypatch.setattr(MasterApi, "get", fake_get)
    monkeypatch.setattr(MasterApi, "control", fake_control)
    return asked


@pytest.mark.parametrize(("cells", "code"), [((good(),), 0), ((bad(),), 1)])
def test_run(
    cells: Any, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Nights().night(FIRST, *cells)
    asked = night(monkeypatch, report)
    assert minios("run") == code
    text = capsys.readouterr().out
    assert text.startswith("master at http://127.0.0.1:")
    assert text.endswith(report_text(report))
    [(path, method, params)] = asked
    assert (path, method) == ("forceschedulers/nightly", "force")
    assert params["reason"].startswith("minios nightly run, by ")


def test_run_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    report = Nights().night(FIRST, good())
    night(monkeypatch, report)
    assert minios("run", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["verdict"] == "good"
    assert "master at" in told.err


def test_one_runs_already(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    night(monkeypatch, None)
    get = MasterApi.get

    def busy(self: MasterApi, path: str, **query: Any) -> Any:
        if path == "builders/2/buildrequests":
            return {"buildrequests": [{"buildrequestid": BRID}]}
        return get(self, path, **query)

    monkeypatch.setattr(MasterApi, "get", busy)
    assert minios("run") == 2
    assert capsys.readouterr().err.startswith("minios: a nightly runs already\n  hint: its builder is in")


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"problem": "the disk is full"}, "the disk is full"),
        ({}, "the nightly ended without a report"),
    ],
)
def test_no_report(
    more: dict[str, Any], what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    night(monkeypatch, None, **more)
    assert minios("run") == 2
    assert f"minios: {what}\n" in capsys.readouterr().err


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Nights().night(FIRST, bad())
    ReportFiles(tmp_path / ".state" / "nightly").write(found)
    assert minios("report", "--state", ".state") == 0
    # That it can be shown is no word on what it says.
    assert capsys.readouterr().out == report_text(found)
    assert minios("report", "--json", "--state", ".state") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.as_json()))


def test_nothing_to_report_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert minios("report", "--state", ".state") == 2
    assert capsys.readouterr().err == (
        "minios: no nightly has run here yet\n  hint: run `minios nightly run`\n"
    )
