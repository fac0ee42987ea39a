"""The matrix as data, and what goes into a cell's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from releasebed import FILES, IDENTITY, MINIOS, NEWEST, OLDER, cell, make_project

from minios_steps.core.errors import ConfigError
from minios_steps.core.plan import Plan, cell_inputs, image_labels, plan_matrix

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.cellkey import CellInputs
    from minios_steps.core.config.project import Project

BOTH = MINIOS.replace("[static]", "[static, dynamic]")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def cells(plan: Plan) -> list[str]:
    return [str(one) for one in plan.cells]


class TestMatrix:
    def test_what_the_configuration_says(self, project: Project) -> None:
        plan = plan_matrix(project)
        assert cells(plan) == ["x86_64 1.38.0 static", "aarch64 1.38.0 static", "sw64 1.38.0 static"]
        assert plan.arches == ("x86_64", "aarch64", "sw64")
        assert plan.releases == ((NEWEST, "static"),)

    def test_candidates_only_by_name(self, project: Project) -> None:
        assert cells(plan_matrix(project, arches=["riscv64"])) == ["riscv64 1.38.0 static"]

    def test_newest_version_first_then_static(self, tmp_path: Path) -> None:
        project = make_project(tmp_path, {"minios.yaml": BOTH})
        plan = plan_matrix(project, versions=["1.35.0", "newest"], arches=["sw64", "x86_64"])
        assert cells(plan) == [
            f"{arch} {version} {variant}"
            for version in ("1.38.0", "1.35.0")
            for variant in ("static", "dynamic")
            for arch in ("sw64", "x86_64")
        ]
        assert plan.releases == (
            (NEWEST, "static"),
            (NEWEST, "dynamic"),
            (OLDER, "static"),
            (OLDER, "dynamic"),
        )

    def test_nothing_twice(self, project: Project) -> None:
        plan = plan_matrix(
            project, versions=["newest", "1.38.0"], variants=["static", "static"], arches=["sw64", "sw64"]
        )
        assert cells(plan) == ["sw64 1.38.0 static"]
        assert plan.arches == ("sw64",)

    def test_arch_without_a_variant(self, tmp_path: Path) -> None:
        one = {"arches/sw64.yaml": f"{FILES['arches/sw64.yaml']}variants: [dynamic]\n"}
        project = make_project(tmp_path, {"minios.yaml": BOTH, **one})
        assert cells(plan_matrix(project, arches=["sw64"])) == ["sw64 1.38.0 dynamic"]
        plan = plan_matrix(project, variants=["static"])
        assert cells(plan) == ["x86_64 1.38.0 static", "aarch64 1.38.0 static"]
        assert plan.arches == ("x86_64", "aarch64", "sw64")
        with pytest.raises(ConfigError, match="no cell to build: sw64 has no static variant"):
            plan_matrix(project, variants=["static"], arches=["sw64"])

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            (
                {"arches": ["mips"]},
                "unknown arch 'mips': the configuration has aarch64, riscv64, sw64, x86_64",
            ),
            ({"variants": ["shared"]}, "unknown variant 'shared': there are static and dynamic"),
            (
                {"versions": ["1.37.0"]},
                "version '1.37.0' is not pinned: the configuration has 1.35.0, 1.38.0",
            ),
        ],
    )
    def test_unknown(self, project: Project, asked: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError) as error:
            plan_matrix(project, **asked)
        assert error.value.what == message


def inputs(project: Project, *, identity: str = IDENTITY, prefix: str = "", **which: Any) -> CellInputs:
    return cell_inputs(project, cell(**which), identity=identity, prefix=prefix)


class TestInputs:
    def test_all_of_them(self, project: Project) -> None:
        found = inputs(project, arch="sw64", version=OLDER)
        assert found.version == "1.35.0"
        assert found.source_sha256 == "a" * 64
        assert [len(patch) for patch in found.patches] == [64]
        assert found.kconfig.splitlines() == [
            'EXTRA_LDFLAGS="-Wl,-z,max-page-size=4096"',
            "STATIC=y",
            "TC=y",
            "USE_BB_CRYPT=y",
        ]
        assert (found.platform, found.make_arch, found.variant) == ("linux/sw64", "sw64", "static")
        assert (found.epoch, found.command) == (1640000000, ("/bin/sh",))
        assert (found.toolchain, found.prefix) == (IDENTITY, "")

    def test_same_key_for_the_same(self, project: Project, tmp_path: Path) -> None:
        again = make_project(tmp_path / "again")
        assert inputs(project).key == inputs(again).key
        assert inputs(project).explain(inputs(again)) == []

    def test_cells_differ(self, project: Project) -> None:
        keys = {
            inputs(project, arch=arch, version=version, variant=variant).key
            for arch in project.arches
            for version in (NEWEST, OLDER)
            for variant in ("static", "dynamic")
        }
        assert len(keys) == 16

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("kconfig/base.config", "CONFIG_TC=y\nCONFIG_LS=y\n"),
            ("kconfig/static.config", "# CONFIG_STATIC is not set\n"),
            ("kconfig/arch/x86_64.config", "CONFIG_LS=y\n"),
            ("kconfig/version/1.38.0.config", "CONFIG_LS=y\n"),
            ("minios.yaml", f"{MINIOS}kconfig_base: allnoconfig\n"),
            ("minios.yaml", MINIOS.replace("title: tiny", "title: Tiny")),
            ("minios.yaml", MINIOS.replace("title: tiny", "title: tiny\n  command: [/bin/ash]")),
            ("rootfs/skeleton.yaml", 'directories:\n  - {path: bin, mode: "0700", owner: 0:0}\n'),
            ("arches/x86_64.yaml", f"{FILES['arches/x86_64.yaml']}page_size: 65536\n"),
            ("arches/x86_64.yaml", f"{FILES['arches/x86_64.yaml']}make_arch: i386\n"),
        ],
    )
    def test_what_changes_the_bytes_changes_the_key(
        self, project: Project, tmp_path: Path, name: str, text: str
    ) -> None:
        other = inputs(make_project(tmp_path / "other", {name: text}))
        assert other.key != inputs(project).key
        assert other.explain(inputs(project))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("kconfig/base.config", "# a comment\n\nCONFIG_TC=y\n"),
            ("minios.yaml", MINIOS.replace("claim_timeout: 60", "claim_timeout: 61")),
            ("minios.yaml", MINIOS.replace("x86_64: required", "x86_64: optional")),
            ("arches/x86_64.yaml", f"{FILES['arches/x86_64.yaml']}timeout_factor: 9\n"),
            ("kconfig/arch/sw64.config", "CONFIG_LS=y\n"),
        ],
    )
    def test_what_does_not(self, project: Project, tmp_path: Path, name: str, text: str) -> None:
        assert inputs(make_project(tmp_path / "other", {name: text})).key == inputs(project).key

    def test_compiler(self, project: Project) -> None:
        assert inputs(project, identity="gcc version 13.1.0\n").key != inputs(project).key
        assert inputs(project, prefix="x86_64-linux-gnu-").key != inputs(project).key

    def test_patch(self, project: Project) -> None:
        before = inputs(project, version=OLDER)
        (project.root / "patches" / "one.patch").write_text("--- b\n")
        assert inputs(project, version=OLDER).key != before.key


def test_labels(tmp_path: Path) -> None:
    text = MINIOS.replace("title: tiny", 'title: tiny\n  url: "https://example.org"\n  licenses: ""')
    assert image_labels(make_project(tmp_path, {"minios.yaml": text}), cell(version=OLDER)) == {
        "org.opencontainers.image.title": "tiny",
        "org.opencontainers.image.description": "A tiny image",
        "org.opencontainers.image.version": "1.35.0",
        "org.opencontainers.image.url": "https://example.org",
    }
