from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.plugins import util
from buildbot.process.properties import Properties
from buildbot.process.results import SKIPPED, SUCCESS, WARNINGS
from configbed import changed, write_config
from minios_master.destination import Place
from minios_master.factories import arch_factory, matrix_factory
from minios_master.progress import PIPELINE
from minios_master.settings import Settings
from twisted.internet import defer

from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.config.load import load_project

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project

SETTINGS = Settings(Path("/config"), Path("/state"))
PLACE = Place(Path("/out"), None)
LOCK = util.MasterLock("local-compile", maxCount=2)
AT_NIGHT = ("known", "retest")
"""The steps that are for nightlies alone; test_master_nightly.py has more of them."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    changes = changed("arches/sw64.yaml", "page_size: 8192\n", "page_size: 8192\ntimeout_factor: 7\n")
    return load_project(write_config(tmp_path / "config", changes))


def steps_of(factory: Any) -> dict[str, Any]:
    steps = [made.buildStep() for made in factory.steps]
    return {step.name: step for step in steps}


def cell_steps(project: Project, arch: str = "sw64") -> dict[str, Any]:
    return steps_of(arch_factory(project, project.arches[arch], SETTINGS, PLACE, LOCK))


def rendered(value: Any, **values: Any) -> Any:
    properties = Properties(**values)
    return defer.maybeDeferred(properties.render, value).result


def test_steps_are_the_ones_that_are_shown(project: Project) -> None:
    assert tuple(name for name in cell_steps(project) if name not in AT_NIGHT) == PIPELINE


def test_reused_cell_skips_all_the_rest(project: Project) -> None:
    steps = cell_steps(project)
    for name in PIPELINE[:2]:
        assert steps[name].doStepIf is True
    for name in (name for name in PIPELINE[2:] if name != "check"):
        step = steps[name]
        for reused in (True, False):
            step.getProperty = lambda _name, _default, told=reused: told
            assert step.doStepIf(step) is not reused
        assert step.hideStepIf(SKIPPED, step)
        assert not step.hideStepIf(SUCCESS, step)


def test_slow_machine_has_more_time_everywhere(project: Project) -> None:
    steps = cell_steps(project)
    # These ask the master alone.
    factors = {name: step.timeout_factor for name, step in steps.items() if name not in ("reuse", "known")}
    assert factors == dict.fromkeys((*(name for name in PIPELINE if name != "reuse"), "retest"), 7.0)


def test_only_this_machines_workers_share_its_cores(project: Project) -> None:
    locks = cell_steps(project)["compile"].locks
    [access] = rendered(locks, workername="local-sw64")
    assert access.lockid is LOCK
    assert rendered(locks, workername="vendor-7") == []


def test_only_this_machines_workers_share_their_sources(project: Project) -> None:
    fetch = cell_steps(project)["fetch"]
    assert rendered(fetch.trees, workername="local-sw64") == "../.."
    assert rendered(fetch.trees, workername="vendor-7") == ".."
    assert rendered(fetch.kept, variant="static") == "sw64 sw64 defconfig static"


def test_kept_objects_are_checked_when_that_is_asked_for(project: Project) -> None:
    step = cell_steps(project)["check"]
    for asked, reused in ((True, False), (True, True), (False, False)):
        told = {"clean_check": asked, "reused": reused}
        step.getProperty = lambda name, _default, told=told: told[name]
        assert step.doStepIf(step) is (asked and not reused)


def test_fragments_are_of_the_builds_own_cell(project: Project) -> None:
    asked = cell_steps(project)["configure"].fragments
    origins = [
        [part.origin for part in rendered(asked, version="1.35.0", variant=v)] for v in ("static", "dynamic")
    ]
    assert "kconfig/static.config" in origins[0]
    assert "kconfig/dynamic.config" in origins[1]
    assert origins[0][-2:] == ["arches/sw64.yaml, kconfig", "generated from page_size in arches/sw64.yaml"]


def test_labels_are_of_the_builds_own_version(project: Project) -> None:
    labels = rendered(cell_steps(project)["image"].labels, version="1.35.0", variant="static")
    assert labels["org.opencontainers.image.version"] == "1.35.0"


def test_jobs_are_as_configured_unless_asked_for(project: Project) -> None:
    jobs = cell_steps(project)["compile"].jobs
    assert rendered(jobs) == 2
    assert rendered(jobs, jobs=5) == 5


def test_kept_things_are_below_the_state_folder(project: Project) -> None:
    steps = cell_steps(project)
    assert steps["fetch"].cache == SETTINGS.cache
    assert steps["push"].store == steps["reuse"].store == SETTINGS.store


def test_matrix_publishes_into_the_layout(project: Project) -> None:
    steps = steps_of(matrix_factory(project, SETTINGS, PLACE))
    assert list(steps) == ["approve", "drift", "matrix", "decide"]
    matrix = steps["matrix"]
    assert steps["decide"].publish is matrix.publish
    publish = matrix.publish("1.38.0", "static")
    assert (publish.version, publish.variant) == ("1.38.0", "static")
    assert (publish.store, publish.layout) == (SETTINGS.store, Path("/out"))
    assert publish.name == "publish 1.38.0 static"
    assert rendered(matrix.arches) == []
    assert rendered(matrix.arches, arches=["sw64"]) == ["sw64"]
    told = rendered(matrix.set_properties, force_rebuild=True)
    assert told == {"jobs": 0, "force_rebuild": True, "backend": "", "clean_check": False}


ENGINES = RegistryDestination.model_validate(
    {
        "kind": "registry",
        "repository": "registry.example/team/minios",
        "workers": {"sw64": {"username": "sw", "password_secret": "sw-password"}},
    }
)


def engine_steps(project: Project, arch: str = "sw64") -> dict[str, Any]:
    return steps_of(arch_factory(project, project.arches[arch], SETTINGS, Place(None, ENGINES), LOCK))


def test_engine_builds_only_where_there_is_a_registry(project: Project) -> None:
    more = ("smoke-image", "push-from-worker", "remove")
    assert not set(more) & set(cell_steps(project))
    steps = engine_steps(project)
    assert tuple(name for name in steps if name not in (*more, *AT_NIGHT)) == PIPELINE
    names = [*steps]
    assert names.index("image") < names.index("smoke-image") < names.index("push-from-worker")
    assert names.index("push-from-worker") < names.index("push") < names.index("remove") == len(names) - 1
    assert (steps["reuse"].registry, cell_steps(project)["reuse"].registry) == (True, False)


@pytest.mark.parametrize(
    ("told", "engine", "last"),
    [
        ({"backend": "docker", "docker_names": {}}, True, False),
        ({"backend": "docker", "docker_names": {"owner": "o", "build": "b"}}, True, True),
        ({"backend": "docker", "reused": True}, False, False),
        ({"backend": "oci"}, False, False),
        ({}, False, False),
    ],
)
def test_engines_steps_are_for_its_images(
    project: Project,
    told: dict[str, Any],
    engine: bool,  # noqa: FBT001
    last: bool,  # noqa: FBT001
) -> None:
    steps = engine_steps(project)
    for name in ("smoke-image", "push-from-worker", "remove"):
        step = steps[name]
        step.getProperty = told.get
        assert step.doStepIf(step) is (last if name == "remove" else engine)
        assert step.hideStepIf(SKIPPED, step)
    # A cell's last word is about its candidate, unless something stays.
    assert steps["remove"].hideStepIf(SUCCESS, steps["remove"])
    assert not steps["remove"].hideStepIf(WARNINGS, steps["remove"])


def test_each_arch_has_its_own_login(project: Project) -> None:
    step = engine_steps(project)["push-from-worker"]
    assert (step.worker_username, step.worker_password.secret_name) == ("sw", "sw-password")
    other = engine_steps(project, "x86_64")["push-from-worker"]
    assert (other.worker_username, other.worker_password) == ("", None)
