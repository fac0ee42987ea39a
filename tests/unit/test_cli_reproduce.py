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
from tinyelf import make_elf

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_result import CellResult
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.plan import Cell
from minios_steps.core.records import CellOutcome, ReleaseRecord, find_records
from minios_steps.core.release import Releaser
from minios_steps.core.release_layout import LayoutTarget

if TYPE_CHECKING:
    from pathlib import Path

    from minios_master.settings import Settings

    from minios_steps.core.config.project import Project
    from minios_steps.core.entry import Entry
    from minios_steps.core.oci.artifact import Artifact

OTHER = make_elf(kind=2, flags=7)
DIGEST = "sha256:" + "5" * 64


class Compiler:
    """What is asked of a toolchain."""

    prefix = ""

    def __init__(self, identity: str = IDENTITY) -> None:
        self.identity = identity


class Bed:
    """A release of three arches, and a machine that builds again what the test says it does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return Bed(tmp_path, monkeypatch)


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


def test_identical(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    assert reproduce("latest") == 0
    shown = capsys.readouterr().out
    assert shown.count("bit-identical") == 3
    assert "changed since" not in shown
    [(settings, choices)] = bed.runs
    assert sorted(choices.arches) == sorted(ALL)
    # Nothing is used of the state but what is fetched, and nothing of the new one is left.
    assert settings.state != bed.folder / "state"
    assert not settings.state.exists()
    assert sorted(path.name for path in (bed.folder / "state").iterdir()) == ["cache"]
    found = arches(capsys, 0, "--arch", "sw64", "--jobs", "3")
    assert [(one["arch"], one["outcome"]) for one in found.values()] == [("sw64", "identical")]
    assert found["sw64"]["recorded"] == found["sw64"]["rebuilt"]
    assert bed.runs[-1][1].jobs == 3
    assert reproduce(f"{bed.layout.root}:latest@sw64") == 0
    assert bed.runs[-1][1].arches == ["sw64"]


def test_different(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.programs = {"aarch64": make_elf(183, kind=2, flags=7)}
    assert reproduce("latest") == 1
    shown = capsys.readouterr().out
    assert "not identical" in shown
    assert "bin/busybox" in shown
    found = arches(capsys, 1)
    assert {arch: one["outcome"] for arch, one in found.items()} == {
        "aarch64": "different",
        "sw64": "identical",
        "x86_64": "identical",
    }
    assert found["aarch64"]["differences"][0]["where"] == "bin/busybox"
    # What was built can be looked at.
    [other] = CandidateStore(bed.folder / "state" / "store").others()
    assert str(other.descriptor.digest) == found["aarch64"]["rebuilt"]
    assert CandidateStore(bed.folder / "state" / "store").find(other.key) is None


def test_configuration_that_has_changed_since(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.change("kconfig/base.config", "CONFIG_TC=y", "# CONFIG_TC is not set")
    assert reproduce("latest", "--arch", "x86_64") == 0
    assert (
        "x86_64: the configuration has changed since; built as recorded: kconfig: CONFIG_TC y -> n"
        in capsys.readouterr().out
    )
    bed.change("sources.yaml", "1.38.0:", "1.38.1:")
    [found] = arches(capsys, 0, "--arch", "x86_64").values()
    assert "version '1.38.0' is not pinned" in found["changed"][0]


def test_other_compiler_or_none(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.compilers = {
        "x86_64": Compiler(IDENTITY.replace("12.2.0", "13.1.0")),
        "aarch64": MiniosError("the probe does not answer"),
    }
    found = arches(capsys, 1)
    assert {one["outcome"] for one in found.values()} == {"unknown"}
    assert found["x86_64"]["reason"] == "not the same here: compiler: gcc 12.2.0 -> 13.1.0"
    assert found["aarch64"]["reason"] == "the probe does not answer"
    assert found["sw64"]["reason"] == (
        "no compiler for sw64 on this machine (start a worker on a sw64 machine)"
    )
    assert bed.runs == []
    assert reproduce("latest") == 1
    shown = capsys.readouterr().out
    assert shown.count("cannot be told") == 3
    assert "x86_64: not the same here: compiler: gcc 12.2.0 -> 13.1.0" in shown


def test_skeleton_is_another(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.change("rootfs/skeleton.yaml", "0755", "0700")
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    assert found["reason"].startswith("not the same here: skeleton: ")


def test_build_that_fails(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.failing = {"aarch64": "compile failed: no space"}
    found = arches(capsys, 1)
    assert found["aarch64"]["reason"] == "it could not be built again: compile failed: no space"
    assert found["x86_64"]["outcome"] == "identical"


def test_arch_that_is_not_in_it(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    found = arches(capsys, 1, "--arch", "riscv64", "--arch", "x86_64")
    assert found["riscv64"]["reason"] == "the release has no image for it"
    assert found["x86_64"]["outcome"] == "identical"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": {}}, "its record does not say what went into it"),
        ({"carried": True}, "it was kept from an earlier release; reproduce that one"),
        ({"key": DIGEST}, "its record's inputs have the key"),
        ({"inputs": {"version": 1}}, "a cell's recorded inputs are damaged"),
    ],
)
def test_record_that_does_not_say_enough(
    bed: Bed, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], reason: str
) -> None:
    bed.release()
    cells: list[CellOutcome] = [dataclasses.replace(one, **changes) for one in bed.recorded.cells]
    bed.record(cells=tuple(cells))
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    assert found["reason"].startswith(reason)
    assert found["recorded"]


def test_newest_record_of_how_it_was_made_counts(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.record(action="retag", cells=())
    assert arches(capsys, 0, "--arch", "x86_64")


def test_image_of_a_docker_engine(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release(backend="docker")
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    # Its key is another one, so the manifest is; the files are the same.
    assert found["outcome"] == "same-files"
    assert reproduce("latest", "--arch", "x86_64") == 1
    assert "same files, made by Docker" in capsys.readouterr().out
    bed.programs = {"x86_64": OTHER}
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    assert found["outcome"] == "different"


def test_no_record(bed: Bed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bed.release()
    [entry] = [one for one in bed.layout.tags().items() if one[0] == "latest"]
    raw = bed.layout.read(entry[1].digest)
    bare = Layout(tmp_path / "bare")
    files = {d: bed.layout.blob_path(d) for d in bed.layout.closure(entry[1])}
    bare.publish({"latest": entry[1]}, raw=[raw], files=files)
    assert reproduce("bare:latest") == 2
    assert "there is no record of how it was made" in capsys.readouterr().err
    assert reproduce("nothing") == 2
