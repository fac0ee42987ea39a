from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from configbed import FILES, MINIOS, SOURCES, X86_64, write_config

from minios_steps.core.cellkey import PIPELINE_VERSION
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError
from minios_steps.core.plan import Cell, cell_inputs
from minios_steps.core.recorded_config import missing_inputs, recorded_arch, write_recorded
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.cellkey import CellInputs
    from minios_steps.core.config.project import Project

IDENTITY = "gcc version 12.2.0\nlibc glibc 2.36\n"
OLD = Version.parse("1.35.0")
MIRROR = "mirrors:\n  - {kind: file, path: 'mirror/busybox-{version}.tar.bz2'}\nmax_bytes: 1000\n"
SKELETON = {"rootfs/skeleton.yaml": 'directories:\n  - {path: bin, mode: "0755", owner: 0:0}\n'}
NOW = {
    **SKELETON,
    "minios.yaml": MINIOS.replace("title: tiny", "title: another\n  url: https://example.org/now")
    + "kconfig_base: allnoconfig\n",
    "sources.yaml": SOURCES.partition("mirrors:")[0]
    .replace("epoch: 1640000000", "epoch: 5")
    .replace("one.patch", "two.patch")
    + MIRROR,
    "workers.yaml": "local:\n  arches: [sw64]\n  jobs: 3\n",
    "arches/x86_64.yaml": X86_64.replace("architecture: amd64", "architecture: amd64\n  variant: v2")
    + "make_arch: i386\npage_size: 65536\nvariants: [dynamic]\nkconfig: |\n  CONFIG_NEW=y\n"
    "musl: {debian: amd64}\n",
    "patches/two.patch": "--- b\n",
    "patches/renamed.patch": FILES["patches/one.patch"],
    "patches/one.patch": "--- c\n",
    "kconfig/base.config": '# CONFIG_TC is not set\nCONFIG_EXTRA="x=y"\n',
    "kconfig/libc/musl.config": "CONFIG_MUSL=y\n",
    "kconfig/version/1.35.0.config": "CONFIG_AGAIN=y\n",
}
"""A configuration in which nothing is what it was, but for the skeleton and what patches say."""


def inputs_of(project: Project, arch: str = "x86_64", identity: str = IDENTITY) -> CellInputs:
    return cell_inputs(project, Cell(OLD, "static", arch), identity=identity, prefix="")


@pytest.fixture
def then(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path / "then", SKELETON))


@pytest.fixture
def now(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path / "now", NOW))


def test_nothing_is_as_it_was_and_the_key_is_the_same(tmp_path: Path, then: Project, now: Project) -> None:
    cells = {arch: inputs_of(then, arch) for arch in ("x86_64", "sw64")}
    assert inputs_of(now).key != cells["x86_64"].key
    assert missing_inputs(now, cells["x86_64"]) == []
    made = write_recorded(now, cells, tmp_path / "made")
    for arch, inputs in cells.items():
        assert inputs_of(made, arch).explain(inputs) == []
        assert inputs_of(made, arch).key == inputs.key
    assert [path.read_text() for path in made.patches(OLD)] == [FILES["patches/one.patch"]]
    assert made.workers.local.arches == ("x86_64", "sw64")
    assert (made.workers.local.jobs, made.sources.max_bytes) == (3, 1000)
    [mirror] = made.sources.mirrors
    assert mirror.kind == "file"
    assert mirror.path == str(now.root / "mirror/busybox-{version}.tar.bz2")


def test_what_was_never_configured_is_not_there_either(tmp_path: Path, then: Project, now: Project) -> None:
    made = write_recorded(now, {"x86_64": inputs_of(then)}, tmp_path / "made")
    assert list(made.arches) == ["x86_64"]
    assert not made.minios.upstream.watch
    assert not made.minios.signing.key_secret
    assert made.minios.destination.kind == "layout"


def test_libc_as_it_was(now: Project, then: Project) -> None:
    assert now.arches["x86_64"].libc == "musl"
    assert recorded_arch(now, inputs_of(then)).libc == "glibc"
    assert recorded_arch(now, inputs_of(then, identity="gcc\nlibc musl 1.2.5\n")).libc == "musl"


def test_what_only_a_digest_is_known_of(tmp_path: Path, then: Project) -> None:
    inputs = inputs_of(then)
    other = {
        "patches/one.patch": "--- c\n",
        "rootfs/skeleton.yaml": SKELETON["rootfs/skeleton.yaml"].replace("0755", "0700"),
    }
    project = load_project(write_config(tmp_path / "now", other))
    found = missing_inputs(project, dataclasses.replace(inputs, pipeline=0))
    assert [line.partition(" ")[0] for line in found] == ["patch", "skeleton:", "pipeline"]
    assert found[2] == f"pipeline version: 0 → {PIPELINE_VERSION}"


def test_arch_that_is_gone(then: Project) -> None:
    inputs = dataclasses.replace(inputs_of(then), arch="vax")
    with pytest.raises(ConfigError, match="unknown arch 'vax': the configuration has sw64, x86_64"):
        recorded_arch(then, inputs)
    with pytest.raises(ConfigError, match="is of no arch: make_arch: String should match"):
        recorded_arch(then, dataclasses.replace(inputs_of(then), make_arch="$(rm)"))
