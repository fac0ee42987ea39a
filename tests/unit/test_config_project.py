from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from configbed import changed, write_config

from minios_steps.core import kconfig
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path))


def test_newest_is_the_highest_number(tmp_path: Path) -> None:
    folder = write_config(tmp_path, changed("sources.yaml", "1.35.0", "1.9.0"))
    assert str(load_project(folder).version("newest")) == "1.38.0"


def test_a_pinned_version(project: Project) -> None:
    assert project.version("1.35.0") == Version(1, 35, 0)


@pytest.mark.parametrize("text", ["1.36.1", "latest", "", "1.38"])
def test_a_version_that_is_not_pinned(project: Project, text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not pinned: the configuration has 1.35.0, 1.38.0"):
        project.version(text)


def test_roles(project: Project) -> None:
    found = {name: project.role(name) for name in ("x86_64", "sw64", "s390x")}
    assert found == {"x86_64": "required", "sw64": "optional", "s390x": "candidate"}


def test_patches_in_order(project: Project) -> None:
    assert project.patches(Version(1, 35, 0)) == (project.root / "patches/one.patch",)
    assert project.patches(Version(1, 38, 0)) == ()
    with pytest.raises(ConfigError, match="is not pinned"):
        project.patches(Version(1, 36, 1))


def origins(project: Project, arch: str, version: str = "1.38.0") -> list[str]:
    found = project.fragments(project.arches[arch], "static", Version.parse(version))
    return [fragment.origin for fragment in found]


def test_fragments_come_from_the_general_to_the_special(tmp_path: Path) -> None:
    more = {"kconfig/version/1.38.0.config": "CONFIG_A=y\n", "kconfig/arch/sw64.config": "CONFIG_A=n\n"}
    folder = write_config(tmp_path, more)
    project = load_project(folder)
    assert origins(project, "sw64") == [
        "kconfig/base.config",
        "kconfig/libc/glibc.config",
        "kconfig/static.config",
        "kconfig/version/1.38.0.config",
        "kconfig/arch/sw64.config",
        "arches/sw64.yaml, kconfig",
        "generated from page_size in arches/sw64.yaml",
    ]
    assert origins(project, "x86_64", "1.35.0") == [
        "kconfig/base.config",
        "kconfig/libc/glibc.config",
        "kconfig/static.config",
        "generated from page_size in arches/x86_64.yaml",
    ]


def test_the_page_size_reaches_the_linker(project: Project) -> None:
    asked = kconfig.merge(project.fragments(project.arches["sw64"], "static", Version(1, 38, 0)))
    assert asked["EXTRA_LDFLAGS"].value == '"-Wl,-z,max-page-size=8192"'


def test_a_fragment_of_another_libc(tmp_path: Path) -> None:
    folder = write_config(
        tmp_path,
        {**changed("arches/sw64.yaml", "page_size", "libc: musl\npage_size"), "kconfig/libc/musl.config": ""},
    )
    assert "kconfig/libc/musl.config" in origins(load_project(folder), "sw64")


def test_what_a_master_logs_of_it(project: Project) -> None:
    assert repr(project) == f"Project('{project.root}')"
    assert repr(project.arches["x86_64"]) == "Arch('x86_64')"
