from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from buildbot.util.identifiers import isIdentifier
from configbed import X86_64, changed, write_config
from minios_master.local_worker_names import LOCAL_PREFIX
from minios_master.remote.member import UNATTACHED_SUFFIX

from minios_steps.core.config.arch_name import PROBE_PREFIX, check_arch_name
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = "x" * 39
BAD = ("s390.x", "386", "-x", "_x", "S390X", "s390x\n", "a/b", "ärm", "", LONGEST + "x")


@pytest.mark.parametrize("name", ["s390x", "x86_64", "loongarch64-sf", LONGEST])
def test_names_of_workers_made_of_it_are_what_buildbot_takes(name: str) -> None:
    assert check_arch_name(name) == name
    made = (LOCAL_PREFIX + name, name + UNATTACHED_SUFFIX, f"{name}-123456789")
    assert all(isIdentifier(50, one) for one in made)


@pytest.mark.parametrize("name", BAD)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not an arch's name: a lower-case letter, then") as caught:
        check_arch_name(name)
    assert repr(name) in caught.value.what


@pytest.mark.parametrize("name", ["matrix", "coordinator", LOCAL_PREFIX + "x", PROBE_PREFIX + "x"])
def test_the_masters_own_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is a name of the master's own"):
        check_arch_name(name)


@pytest.mark.parametrize("name", ["s390.x", "3b2"])
def test_the_configuration_refuses_them(tmp_path: Path, name: str) -> None:
    other = X86_64.replace("amd64", "other")
    for stem, told in (
        (name, f"{name!r} is not an arch's name"),
        ("sound", f"{name!r} is not an arch's name"),
    ):
        config = write_config(
            tmp_path / stem, {f"arches/{stem}.yaml": other.replace("x86_64", f"'{name}'", 1)}
        )
        with pytest.raises(ConfigError) as caught:
            load_project(config)
        assert caught.value.what.startswith(f"{config}/arches/{stem}.yaml:1: name: {told}")
    # A good name in a file that is named badly.
    config = write_config(tmp_path / "file", {f"arches/{name}.yaml": other.replace("x86_64", "sound", 1)})
    with pytest.raises(ConfigError, match=f"the file is named otherwise, and '{name}' is not an arch's name"):
        load_project(config)


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        (changed("minios.yaml", "sw64: optional", "s390.x: optional"), "arches.s390.x"),
        (changed("workers.yaml", "jobs: 2", "arches: [s390.x]"), "local.arches[0]"),
    ],
)
def test_nor_may_other_files_name_them(tmp_path: Path, changes: dict[str, str], at: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_project(write_config(tmp_path, changes))
    assert f": {at}: 's390.x' is not an arch's name" in caught.value.details
