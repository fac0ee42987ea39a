"""A release of three arches that `minios reproduce` builds again, on a machine that compiles nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from minios_master import reproduction
from minios_master.cli import reproduce as module
from minios_master.cli.main import run
from minios_master.matrix_run import Choices, Outcome
from releasebed import ALL, IDENTITY, NEWEST, cell, make_project, put_candidate

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_result import CellResult
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.plan import Cell
from minios_steps.core.records import ReleaseRecord, find_records
from minios_steps.core.release import Releaser
from minios_steps.core.release_layout import LayoutTarget

if TYPE_CHECKING:
    from pathlib import Path

    from minios_master.settings import Settings

    from minios_steps.core.config.project import Project
    from minios_steps.core.entry import Entry
    from minios_steps.core.oci.artifact import Artifact


class Compiler:
    """What is asked of a toolchain."""

    prefix = ""

    def __init__(self, identity: str = IDENTITY) -> None:
        self.identity = identity


class ReproduceBed:
    """A release of three arches, and a machine that builds again what the test says it does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("DOCKER_CONFIG", str(folder))
        self.folder = folder
        self.backend = ""
        self.compilers: dict[str, Any] = {arch: Compiler() for arch in ALL}
        self.programs: dict[str, bytes] = {}
        self.failing: dict[str, str] = {}
        self.runs: list[tuple[Settings, Choices]] = []
        monkeypatch.setattr(module, "run_embedded", self._run)
        monkeypatch.setattr(reproduction, "probe_local", self._probe)
        monkeypatch.setattr(
            reproduction,
            "local_arches",
            lambda project: tuple(name for name in project.arches if name in self.compilers),
        )
        self.layout = Layout(folder / "out" / "minios")

    def release(self, *, backend: str = "", entries: tuple[Entry, ...] = ()) -> None:
        project = make_project(self.folder / "config")
        store = CandidateStore(self.folder / "elsewhere")
        made = {a: put_candidate(store, project, cell(a), backend=backend, entries=entries) for a in ALL}
        results = [CellResult.built(cell(arch), record.as_json()) for arch, record in made.items()]
        Releaser(project, store, LayoutTarget(self.layout, store)).publish(NEWEST, "static", results, ALL)

    def change(self, name: str, old: str, new: str) -> None:
        """Change the configuration after the release."""
        path = self.folder / "config" / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def record(self, **changes: Any) -> None:
        """Put another record beside the release's, newer than it."""
        store = LayoutStore(self.layout)
        index = store.manifest("latest").descriptor
        [old] = find_records(store, index.digest)
        new = dataclasses.replace(old, time="2999-01-01T00:00:00.000+00:00", **changes)
        artifact: Artifact = new.artifact(index)
        artifact.attach_to(store)

    @property
    def recorded(self) -> ReleaseRecord:
        store = LayoutStore(self.layout)
        return find_records(store, store.manifest("latest").digest)[0]

    def _probe(self, arch: Any, _cache: Path) -> Any:
        found = self.compilers[arch.name]
        if isinstance(found, MiniosError):
            raise found
        return found

    def _run(self, settings: Settings, project: Project, choices: Choices, _console: Any) -> Outcome:
        self.runs.append((settings, choices))
        store = CandidateStore(settings.store)
        cells = []
        for arch in choices.arches:
            if arch in self.failing:
                cells.append(CellResult.failed(cell(arch), self.failing[arch]))
            else:
                made = Cell(NEWEST, "static", arch)
                record = put_candidate(store, project, made, program=self.programs.get(arch))
                cells.append(CellResult.built(made, record.as_json()))
        return Outcome(tuple(result.as_json() for result in cells), (), 1.0, "")


def reproduce(*words: str) -> int:
    with pytest.raises(SystemExit) as done:
        run(["reproduce", "--config", "config", "--state", "state", *words])
    return int(str(done.value.code or 0))


def arches(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    assert reproduce("latest", *words, "--json") == code
    told = json.loads(capsys.readouterr().out)
    assert told["identical"] == (code == 0)
    return {verdict["arch"]: verdict for verdict in told["arches"]}
