"""A retired arch: nothing builds it any more, and what was released of it can still be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from configbed import MINIOS, X86_64, write_config
from minios_master import machine
from minios_master.configurator import MiniosConfigurator
from minios_master.settings import Settings

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError
from minios_steps.core.plan import plan_matrix

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project

RETIRED = {"minios.yaml": MINIOS.replace("sw64: optional", "sw64: retired")}
NEW = X86_64.replace("x86_64", "new").replace("amd64", "new")
"""An arch that `minios.yaml` does not name."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path / "config", {**RETIRED, "arches/new.yaml": NEW}))


def test_nights_are_for_all_others(project: Project) -> None:
    assert project.role("sw64") == "retired"
    assert "sw64" in project.arches
    assert project.nightly_arches == ("new", "x86_64")


def test_plan(project: Project) -> None:
    assert plan_matrix(project).arches == ("x86_64",)
    with pytest.raises(ConfigError) as error:
        plan_matrix(project, arches=["sw64"])
    assert str(error.value) == "arch sw64 is retired (minios arch promote sw64 builds it again)"


def test_no_builder_no_worker(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minios_master.configurator.local_arches", lambda _project: ())
    told: dict[str, Any] = {}
    MiniosConfigurator(Settings(project.root, tmp_path / "state")).configure(told)
    names = {one.name for kind in ("workers", "builders", "schedulers") for one in told[kind]}
    assert [name for name in names if "sw64" in name] == []
    assert {"new", "new-unattached", "build-new"} <= names


def test_this_machine_is_not_asked_for_it(project: Project, tmp_path: Path) -> None:
    assert [arch.name for arch in machine.survey(project, tmp_path).arches] == ["new", "x86_64"]
    listed = project.workers.local.model_copy(update={"arches": ("sw64", "x86_64")})
    workers = project.workers.model_copy(update={"local": listed})
    changed = type(project)(project.root, project.minios, project.arches, workers, project.sources)
    assert machine.local_arches(changed) == ("x86_64",)
