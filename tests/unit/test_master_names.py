"""The names that no arch can have, as the master's own things do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from configbed import X86_64, write_config
from minios_master.configurator import MATRIX
from minios_master.destination import Place
from minios_master.factories import arch_factory
from minios_master.local_worker_names import COORDINATOR, LOCAL_PREFIX
from minios_master.nightly import NIGHTLY
from minios_master.settings import Settings

from minios_steps.core.config.arch_name import RESERVED_NAMES, RESERVED_PREFIX
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["matrix", "nightly", "coordinator", "local-arm", "local-"])
def test_arch_cannot_have_a_name_of_the_masters_own(name: str, tmp_path: Path) -> None:
    arch = X86_64.replace("name: x86_64", f"name: {name}").replace("amd64", "other")
    config = write_config(tmp_path / "config", {f"arches/{name}.yaml": arch})
    with pytest.raises(ConfigError) as caught:
        load_project(config)
    assert caught.value.what == f"{config}/arches/{name}.yaml:1: name: {name!r} is a name of the master's own"


def test_all_of_the_masters_names_are_reserved() -> None:
    assert {MATRIX, NIGHTLY, COORDINATOR} == RESERVED_NAMES
    assert LOCAL_PREFIX == RESERVED_PREFIX


def test_arch_that_is_named_much_like_one_is_fine(tmp_path: Path) -> None:
    changes = {"arches/localx.yaml": X86_64.replace("name: x86_64", "name: localx").replace("amd64", "other")}
    project = load_project(write_config(tmp_path / "config", changes))
    place = Place(tmp_path / "out", None)
    assert arch_factory(project, project.arches["localx"], Settings(tmp_path, tmp_path), place, None)
