"""Where releases go: the settings before the configuration, and never in two places."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from configbed import MINIOS, write_config
from minios_master.destination import Place, place_of, settled
from minios_master.identity import holder_of
from minios_master.settings import Settings

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project

REGISTRY = """\
destination:
  kind: registry
  repository: registry.example/team/app
  username: ci
  password_secret: door
"""


@pytest.fixture
def layout(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path / "config"))


@pytest.fixture
def registry(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path / "config", {"minios.yaml": MINIOS + REGISTRY}))


def asked(tmp_path: Path, **more: object) -> Settings:
    return Settings(tmp_path / "config", tmp_path / "state", **more)  # type: ignore[arg-type]


def test_as_configured(layout: Project, tmp_path: Path) -> None:
    place = place_of(layout, asked(tmp_path), tmp_path)
    assert (place.layout, place.registry) == (tmp_path / "out/minios", None)
    assert place.target == str(tmp_path / "out/minios")


def test_a_configured_registry(registry: Project, tmp_path: Path) -> None:
    place = place_of(registry, asked(tmp_path), tmp_path)
    assert place.registry == registry.minios.destination
    assert place.name == place.target == "registry.example/team/app"


def test_a_layout_that_is_asked_for(registry: Project, tmp_path: Path) -> None:
    place = place_of(registry, asked(tmp_path, out=tmp_path / "here"), tmp_path)
    assert (place.layout, place.registry) == (tmp_path / "here", None)


def test_a_registry_that_is_asked_for(layout: Project, tmp_path: Path) -> None:
    place = place_of(layout, asked(tmp_path, registry="127.0.0.1:5000/app"), tmp_path)
    assert place.registry
    assert (place.registry.username, place.registry.speaks_http) == ("", True)


def test_another_host_gets_no_password(registry: Project, tmp_path: Path) -> None:
    place = place_of(registry, asked(tmp_path, registry="r.example/app", plain_http=True), tmp_path)
    assert place.registry
    assert (place.registry.password_secret, place.registry.speaks_http) == ("", True)


@pytest.mark.parametrize("choice", [{}, {"registry": "127.0.0.1:5000/a"}, {"registry": "registry.example/b"}])
def test_the_master_finds_the_same_place(registry: Project, tmp_path: Path, choice: dict[str, str]) -> None:
    settings = asked(tmp_path, **choice)
    place = place_of(registry, settings, tmp_path)
    told = Settings.from_environment(settled(settings, place).environment())
    assert place_of(registry, told, tmp_path / "elsewhere") == place


def test_the_master_finds_the_same_layout(layout: Project, tmp_path: Path) -> None:
    settings = asked(tmp_path)
    place = place_of(layout, settings, tmp_path)
    told = Settings.from_environment(settled(settings, place).environment())
    assert place_of(layout, told, tmp_path / "elsewhere") == place


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"out": Path("out"), "registry": "r.example/a"}, "releases go to one of them"),
        ({"plain_http": True}, "--plain-http is for a registry"),
        ({"registry": "minios"}, r"--registry should be HOST\[:PORT\]/REPO"),
        ({"registry": "r.example/a:tag"}, "--registry should be HOST"),
    ],
)
def test_what_is_refused(layout: Project, tmp_path: Path, choice: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        place_of(layout, asked(tmp_path, **choice), tmp_path)


def test_a_layout_as_people_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert Place(tmp_path / "here/out", None).name == "oci:out"
    assert Place(tmp_path / "out", None).name == f"oci:{tmp_path}/out"


def test_a_master_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = holder_of(tmp_path / "state")
    assert first == holder_of(tmp_path / "state")
    assert first.id != holder_of(tmp_path / "other").id
    assert os.uname().nodename in first.name
