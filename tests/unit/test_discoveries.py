from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from configbed import write_config

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError, PolicyError
from minios_steps.core.plan import plan_matrix
from minios_steps.core.tags import tags_of
from minios_steps.core.upstream.discoveries import Discovered, Discoveries
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project

FOUND = Discovered(
    version="1.40.0",
    sha256="c" * 64,
    epoch=1_700_000_001,
    url="https://example.org/busybox-1.40.0.tar.bz2",
    fingerprint="F" * 40,
    patches=("one.patch",),
    refused=("two.patch does not apply: x",),
    found="2026-11-24T00:00:00+00:00",
)
NEW = Version.parse("1.40.0")


@pytest.fixture
def file(tmp_path: Path) -> Discoveries:
    return Discoveries(tmp_path / "state" / "releases.json")


@pytest.fixture
def project(tmp_path: Path, file: Discoveries) -> Project:
    return dataclasses.replace(load_project(write_config(tmp_path / "config")), discoveries=file)


def test_kept(file: Discoveries) -> None:
    assert file.read() == {}
    file.add(FOUND)
    assert file.read() == {"1.40.0": FOUND}
    file.mark_passed("1.40.0")
    # Found again, it keeps what is known of it; with other bytes it starts afresh.
    file.add(FOUND)
    assert file.read()["1.40.0"].passed
    file.add(dataclasses.replace(FOUND, sha256="d" * 64))
    assert not file.read()["1.40.0"].passed
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["releases.json", "releases.lock"]


def test_only_what_passed_is_approved(file: Discoveries) -> None:
    with pytest.raises(PolicyError, match=r"1\.40\.0 is not a discovered release \(there are: none\)"):
        file.approve("1.40.0", "me")
    file.add(FOUND)
    with pytest.raises(PolicyError, match="was not good on every arch yet") as caught:
        file.approve("1.40.0", "me")
    assert caught.value.hint == "build it: minios matrix --version 1.40.0"
    file.mark_passed("1.40.0")
    file.approve("1.40.0", "me")
    file.approve("1.40.0", "somebody later")
    assert file.read()["1.40.0"].approved == "me"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2, "releases": {}}',
        '{"format": 1, "releases": {"1.40.0": {}}}',
        json.dumps({"format": 1, "releases": {"1.39.0": dataclasses.asdict(FOUND)}}),
        json.dumps({"format": 1, "releases": {"1.40.0": {**dataclasses.asdict(FOUND), "sha256": "x"}}}),
    ],
)
def test_damaged(file: Discoveries, text: str) -> None:
    file.path.parent.mkdir()
    file.path.write_text(text, "utf-8")
    for act in (file.read, lambda: file.add(FOUND)):
        with pytest.raises(ConfigError, match=r"releases\.json: is damaged"):
            act()
    assert file.path.read_text("utf-8") == text


def test_candidate_is_built_when_it_is_named(project: Project, file: Discoveries) -> None:
    with pytest.raises(
        ConfigError, match=r"'1\.40\.0' is not pinned: the configuration has 1\.35\.0, 1\.38\.0"
    ):
        project.version("1.40.0")
    file.add(FOUND)
    assert project.version("1.40.0") == NEW
    assert project.release(NEW).sha256 == FOUND.sha256
    assert project.patches(NEW) == (project.root / "patches" / "one.patch",)
    assert project.sources_of(NEW).releases["1.40.0"].epoch == FOUND.epoch
    assert list(project.sources.releases) == ["1.35.0", "1.38.0"]
    cells = plan_matrix(project, versions=["1.40.0"]).cells
    assert {cell.version for cell in cells} == {NEW}
    # By itself, nothing builds it.
    assert {str(cell.version) for cell in plan_matrix(project).cells} == {"1.38.0"}
    with pytest.raises(ConfigError, match=r"1\.38\.0, and 1\.40\.0 as candidates"):
        project.version("1.39.0")


def test_tags_of_a_candidate_and_of_a_release(project: Project, file: Discoveries) -> None:
    file.add(FOUND)
    old = Version.parse("1.38.0")
    assert tags_of(project, "static", NEW) == ("1.40.0-rc",)
    assert tags_of(project, "dynamic", NEW) == ("1.40.0-dynamic-rc",)
    assert tags_of(project, "static", old) == ("1.38.0", "1.38", "latest")
    file.mark_passed("1.40.0")
    assert tags_of(project, "static", NEW) == ("1.40.0-rc",)
    file.approve("1.40.0", "me")
    assert tags_of(project, "static", NEW) == ("1.40.0", "1.40", "latest")
    # Building the older one again does not move `latest` back.
    assert tags_of(project, "static", old) == ("1.38.0", "1.38")


def test_pinned_wins(project: Project, file: Discoveries) -> None:
    file.add(dataclasses.replace(FOUND, version="1.38.0"))
    assert project.discovered == {}
    assert project.release(Version.parse("1.38.0")).sha256 == "b" * 64
