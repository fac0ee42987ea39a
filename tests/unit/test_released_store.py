from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from minios_master.destination import place_of, released_store
from minios_master.settings import Settings
from registrybed import PASSWORD, USER, serving
from releasebed import FILES, make_project
from sealedbed import put_release

from minios_steps.core.errors import ConfigError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore

if TYPE_CHECKING:
    from pathlib import Path

DESTINATION = """
destination:
  kind: registry
  repository: {host}/team/app
  username: {user}
  password_secret: push
"""


def test_a_layout(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "config", tmp_path / "state", tmp_path / "out")
    project = make_project(tmp_path / "config")
    index = put_release(LayoutStore(Layout(tmp_path / "out")), tmp_path)
    with released_store(place_of(project, settings, tmp_path), project, settings) as store:
        assert store.manifest("latest").raw == index.raw


def test_a_registry_with_its_secret(tmp_path: Path) -> None:
    with serving(auth="basic") as bed:
        told = FILES["minios.yaml"] + DESTINATION.format(host=bed.host, user=USER)
        project = make_project(tmp_path / "config", {"minios.yaml": told})
        settings = Settings(tmp_path / "config", tmp_path / "state")
        place = place_of(project, settings, tmp_path)
        with (
            pytest.raises(ConfigError, match=r"the registry's password: .*/push cannot be read"),
            released_store(place, project, settings),
        ):
            pass
        settings.secrets.mkdir(parents=True)
        (settings.secrets / "push").write_text(f"{PASSWORD}\n", "utf-8")
        with released_store(place, project, settings) as store:
            assert store.name == f"{bed.host}/team/app"
            index = put_release(store, tmp_path)
            assert store.manifest("latest").raw == index.raw
