"""The shipped fragments against every pinned release's own kconfig and makefiles."""

from __future__ import annotations

import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from configbed import ROOT

from minios_steps.core import kconfig
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import KconfigError
from minios_steps.core.kbuild import KbuildRules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.config.base import Variant

PROJECT = load_project(ROOT / "config")
VERSIONS = [str(version) for version in PROJECT.pinned]

# `  CC  ` and `  AS  ` lines that a real build printed (defconfig, static, glibc).
PRINTED = {"1.35.0": (567, 0), "1.37.0": (573, 5), "1.38.0": (586, 5)}


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tree(version: str, tarballs: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(version)
    with tarfile.open(tarballs(version)) as tar:
        tar.extractall(folder, filter="data")
    return folder / f"busybox-{version}"


def make(tree: Path, target: str) -> str:
    """Run a configuration target with an answer for every question; returns the `.config`."""
    subprocess.run(
        ["sh", "-c", f"yes '' | make ARCH=x86_64 {target}"],
        cwd=tree,
        check=True,
        capture_output=True,
        env={**os.environ, "KCONFIG_NOTIMESTAMP": "1"},
    )
    return (tree / ".config").read_text("utf-8")


def base_of(tree: Path, base: str) -> str:
    kept = tree / f".config.{base}"
    if not kept.exists():
        kept.write_text(make(tree, base), "utf-8")
    return kept.read_text("utf-8")


def apply(tree: Path, text: str, fragments: tuple[kconfig.Fragment, ...]) -> str:
    (tree / ".config").write_text(kconfig.apply(text, kconfig.merge(fragments)), "utf-8")
    return make(tree, "oldconfig")


def configure(tree: Path, base: str, fragments: tuple[kconfig.Fragment, ...]) -> str:
    """What `ConfigureBusyBox` does."""
    return apply(tree, "" if base == "defconfig" else base_of(tree, base), fragments)


# Each pair of two of these three is there once.
@pytest.mark.parametrize(
    ("base", "libc", "variant"),
    [
        ("defconfig", "glibc", "static"),
        ("allnoconfig", "glibc", "dynamic"),
        ("defconfig", "musl", "dynamic"),
        ("allnoconfig", "musl", "static"),
    ],
)
def test_every_symbol_sticks(tree: Path, version: str, base: str, libc: str, variant: Variant) -> None:
    arch = PROJECT.arches["sw64"].model_copy(update={"libc": libc})
    fragments = PROJECT.fragments(arch, variant, PROJECT.version(version))
    kconfig.verify(configure(tree, base, fragments), kconfig.merge(fragments))


@pytest.mark.parametrize("variant", ["static", "dynamic"])
def test_empty_answers_are_those_of_defconfig(tree: Path, version: str, variant: Variant) -> None:
    fragments = PROJECT.fragments(PROJECT.arches["aarch64"], variant, PROJECT.version(version))
    assert configure(tree, "defconfig", fragments) == apply(tree, base_of(tree, "defconfig"), fragments)


def test_what_cannot_stick_is_named(tree: Path) -> None:
    wish = "CONFIG_NO_SUCH_THING=y\nCONFIG_STATIC=y\nCONFIG_FEATURE_LIBBUSYBOX_STATIC=y\nCONFIG_TC=y\n"
    fragments = (kconfig.Fragment("mine", wish),)
    with pytest.raises(KconfigError) as caught:
        kconfig.verify(configure(tree, "defconfig", fragments), kconfig.merge(fragments))
    assert caught.value.details.splitlines() == [
        # It depends on BUILD_LIBBUSYBOX, which STATIC forbids.
        "CONFIG_FEATURE_LIBBUSYBOX_STATIC did not stick: asked for y, got n (mine:3)",
        "CONFIG_NO_SUCH_THING does not exist in this release (mine:1)",
    ]


def test_the_count_is_what_make_prints(tree: Path, version: str, tarballs: Callable[[str], Path]) -> None:
    arch = PROJECT.arches["x86_64"].model_copy(update={"libc": "glibc"})
    fragments = PROJECT.fragments(arch, "static", PROJECT.version(version))
    config = kconfig.parse_dotconfig(configure(tree, "defconfig", fragments))
    rules = KbuildRules.from_tarball(tarballs(version))
    compiled, assembled = PRINTED[version]
    assert rules.count(config, assembler=False) == compiled
    assert rules.count(config) == compiled + assembled
