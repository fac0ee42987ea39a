from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from configbed import FILES, MINIOS, ROOT, SW64, X86_64, changed, write_config
from pydantic import ValidationError

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def problems(folder: Path, changes: dict[str, str | None] | dict[str, str]) -> list[str]:
    """What is wrong with the small configuration after some changes, without the folder's name."""
    write_config(folder, changes)
    with pytest.raises(ConfigError) as caught:
        load_project(folder)
    lines = caught.value.details.splitlines()
    assert caught.value.what == lines[0]
    return [line.replace(f"{folder}/", "") for line in lines]


def test_the_small_configuration_is_good(tmp_path: Path) -> None:
    project = load_project(write_config(tmp_path))
    assert list(project.arches) == ["sw64", "x86_64"]
    assert project.minios.policy.claim_timeout == 5
    assert project.workers.local.jobs == 2
    assert project.arches["sw64"].elf.machines == (0x9916, 268)


def test_everything_is_frozen(tmp_path: Path) -> None:
    project = load_project(write_config(tmp_path))
    with pytest.raises(ValidationError):
        project.minios.policy.claim_timeout = 1
    for mapping in (project.arches, project.minios.arches, project.minios.tags, project.sources.releases):
        with pytest.raises(TypeError):
            mapping["new"] = None  # type: ignore[index]


WITHOUT_TAGS = MINIOS.replace('  dynamic: ["{version}-dynamic"]\n', "").replace("[static]", "[dynamic]")
RENAMED = {"arches/x86_64.yaml": None, "arches/amd64.yaml": X86_64}

CASES = {
    "unknown key": (
        changed("minios.yaml", "claim_timeout", "claim_timout"),
        "minios.yaml:14: policy.claim_timout: unknown key, did you mean 'claim_timeout'?",
    ),
    "unknown key in a list": (
        changed("sources.yaml", "    url:", "    urll:"),
        "sources.yaml:11: mirrors[0].urll: unknown key, did you mean 'url'?",
    ),
    "unknown key in a mapping's value": (
        changed("sources.yaml", "    patches:", "    patchs:"),
        "sources.yaml:5: releases.1.35.0.patchs: unknown key, did you mean 'patches'?",
    ),
    "unknown key like none": (
        changed("workers.yaml", "local:\n  jobs: 2\n", "elsewhere: 1\n"),
        "workers.yaml:1: elsewhere: unknown key (known: local, remote)",
    ),
    "an alias is the key, not the field": (
        changed("arches/x86_64.yaml", "  class: 64", "  clas: 64"),
        "arches/x86_64.yaml:5: elf.clas: unknown key, did you mean 'class'?",
    ),
    "missing key": (
        changed("arches/x86_64.yaml", "gnu_prefix: x86_64-linux-gnu-\n", ""),
        "arches/x86_64.yaml:1: gnu_prefix: is required",
    ),
    "missing key below": (
        changed("minios.yaml", "  title: tiny\n", ""),
        "minios.yaml:1: image.title: is required",
    ),
    "wrong type": (
        changed("minios.yaml", "claim_timeout: 5", "claim_timeout: soon"),
        "minios.yaml:14: policy.claim_timeout: input should be a valid integer",
    ),
    "out of range": (
        changed("arches/sw64.yaml", "8192", "8191"),
        "arches/sw64.yaml:10: page_size: should be a power of two",
    ),
    "role of no kind": (
        changed("minios.yaml", "x86_64: required", "x86_64: needed"),
        "minios.yaml:8: arches.x86_64: input should be 'required', 'optional', 'candidate' or 'retired'",
    ),
    "a union complains once": (
        changed("workers.yaml", "jobs: 2", "arches: all"),
        "workers.yaml:2: local.arches: input should be 'auto', or input should be a valid tuple",
    ),
    "backend of no kind": (
        changed("minios.yaml", "  title: tiny\n", "  title: tiny\n  backend: podman\n"),
        "minios.yaml:4: image.backend: input should be 'oci' or 'docker'",
    ),
    "an engine's images have no way here": (
        changed("minios.yaml", "  title: tiny\n", "  title: tiny\n  backend: docker\n"),
        "minios.yaml:4: image.backend: the worker's engine hands images over through a registry, and none is",
    ),
    "nor those of one arch": (
        changed("arches/sw64.yaml", "page_size: 8192\n", "page_size: 8192\nbackend: docker\n"),
        "arches/sw64.yaml:11: backend: the worker's engine hands images over through a registry, and none is",
    ),
    "a mirror of no kind": (
        changed("sources.yaml", "kind: https", "kind: ftp"),
        "sources.yaml:10: mirrors[0]: input tag 'ftp' found using 'kind' does not match",
    ),
    "version of no form": (
        changed("minios.yaml", "[newest]", "['1.38']"),
        "minios.yaml:5: versions[0]: input should be 'newest', or not a BusyBox version: '1.38' ",
    ),
    "version not pinned": (
        changed("minios.yaml", "[newest]", "[newest, 1.36.1]"),
        "minios.yaml:5: versions[1]: version 1.36.1 is not pinned in sources.yaml, which has 1.35.0, 1.38.0",
    ),
    "tag with an unknown field": (
        changed("minios.yaml", "{minor}", "{arch}"),
        "minios.yaml:11: tags.static[1]: tag pattern '{arch}' has an unknown field: arch (there",
    ),
    "tag with an open brace": (
        changed("minios.yaml", '"{minor}"', '"{minor"'),
        "minios.yaml:11: tags.static[1]: tag pattern '{minor': expected '}' before end of string",
    ),
    "tag that is none": (
        changed("minios.yaml", "latest", "'a b'"),
        "minios.yaml:11: tags.static[2]: tag pattern 'a b' does not make a tag: letters, digits, . _ - only",
    ),
    "first tag without a version": (
        changed("minios.yaml", '["{version}", "{minor}", latest]', "[latest]"),
        "minios.yaml:11: tags.static: the first tag should hold {version}",
    ),
    "one tag for two variants": (
        changed("minios.yaml", '["{version}-dynamic"]', '["{version}-dynamic", latest]'),
        "minios.yaml:12: tags.dynamic[1]: 'latest' makes a tag of variant static too: the last one would win",
    ),
    "a variant without tags": (
        {"minios.yaml": WITHOUT_TAGS},
        "minios.yaml:6: variants[0]: variant dynamic has no tags",
    ),
    "a role for an arch without a file": (
        changed("minios.yaml", "x86_64: required", "x86-64: required"),
        "minios.yaml:8: arches.x86-64: 'x86-64' has no file arches/x86-64.yaml: did you mean 'x86_64'?",
    ),
    "a worker for an arch without a file": (
        changed("workers.yaml", "jobs: 2", "arches: [x86_64, mips]"),
        "workers.yaml:2: local.arches[1]: 'mips' has no file arches/mips.yaml: there are sw64, x86_64",
    ),
    "a file named otherwise": (
        {**RENAMED, **changed("minios.yaml", "x86_64:", "amd64:")},
        "arches/amd64.yaml:1: name: should be 'amd64', as the file is named",
    ),
    "two arches with one platform": (
        changed("arches/x86_64.yaml", "amd64", "sw64"),
        "arches/x86_64.yaml:2: platform: linux/sw64 is the platform of sw64 too: ",
    ),
    "two platforms that mean the same": (
        {
            "arches/sw64.yaml": SW64.replace("architecture: sw64", "architecture: amd64\n  variant: v1"),
        },
        "arches/x86_64.yaml:2: platform: linux/amd64 is the platform of sw64 too: ",
    ),
    "an arch file that would not be read": (
        {"arches/mips.yml": X86_64},
        "arches/mips.yml: would not be read: name it mips.yaml",
    ),
    "a missing patch": (
        {"patches/one.patch": None},
        "sources.yaml:5: releases.1.35.0.patches[0]: patches/one.patch is missing",
    ),
    "a patch outside": (
        changed("sources.yaml", "one.patch", "../minios.yaml"),
        "sources.yaml:5: releases.1.35.0.patches[0]: '../minios.yaml' is outside of patches/",
    ),
    "a missing fragment": (
        {"kconfig/base.config": None},
        "kconfig/base.config: the kconfig fragment cannot be read: No such file or directory",
    ),
    "a bad fragment": (
        {"kconfig/base.config": "\nCONFIG_TC=maybe\n"},
        "kconfig/base.config:2: CONFIG_TC: not a value: 'maybe' (write y, n, ",
    ),
    "a bad fragment in an arch": (
        changed("arches/sw64.yaml", "CONFIG_INOTIFYD=y", "INOTIFYD=y"),
        "arches/sw64.yaml:11: kconfig: arches/sw64.yaml, kconfig:2: not a setting: 'INOTIFYD=y'",
    ),
    "a prefix that would be a command": (
        changed("arches/x86_64.yaml", "x86_64-linux-gnu-", "'$(reboot)-'"),
        "arches/x86_64.yaml:9: gnu_prefix: string should match pattern",
    ),
    "a missing file": ({"workers.yaml": None}, "workers.yaml: the file is missing"),
    "no arch": (
        {"arches/x86_64.yaml": None, "arches/sw64.yaml": None},
        "arches: there is no arch: add a file NAME.yaml",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_configuration_is_told_with_file_line_and_key(tmp_path: Path, case: str) -> None:
    changes, expected = CASES[case]
    [told] = problems(tmp_path, changes)
    # The end is cut off where the words are pydantic's.
    assert told.startswith(expected)


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        {
            **changed("minios.yaml", "claim_timeout: 5", "claim_timeout: 0\n  cell_timeout: 1"),
            **changed("workers.yaml", "jobs", "job"),
        },
    )
    assert [line.split(": ")[1] for line in told] == [
        "policy.claim_timeout",
        "policy.cell_timeout",
        "local.job",
    ]


def test_the_first_line_says_how_many_there_are(tmp_path: Path) -> None:
    write_config(tmp_path, {"workers.yaml": "a: 1\nb: 1\n"})
    with pytest.raises(ConfigError, match=r"workers.yaml:1: a: unknown key .*\(2 problems in all\)"):
        load_project(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the configuration folder is missing"):
        load_project(tmp_path / "none")


def test_a_secret_is_not_echoed(tmp_path: Path) -> None:
    text = FILES["sources.yaml"].replace("kind: https", "kind: 'https://me:hunter2@host'")
    assert not any("hunter2" in line for line in problems(tmp_path, {"sources.yaml": text}))


def test_one_new_file_adds_an_arch(tmp_path: Path) -> None:
    s390x = X86_64.replace("x86_64", "s390x").replace("amd64", "s390x").replace("little", "big")
    project = load_project(write_config(tmp_path, {"arches/s390x.yaml": s390x}))
    assert project.arches["s390x"].elf.data == "big"
    assert project.role("s390x") == "candidate"


def test_the_shipped_configuration_is_good() -> None:
    project = load_project(ROOT / "config")
    assert [str(version) for version in project.pinned] == ["1.35.0", "1.37.0", "1.38.0"]
    platforms = {name: str(arch.platform.platform) for name, arch in project.arches.items()}
    assert platforms == {
        "x86_64": "linux/amd64",
        "aarch64": "linux/arm64/v8",
        "riscv64": "linux/riscv64",
        "sw64": "linux/sw64",
    }
    assert project.role("sw64") == "optional"
    assert project.arches["sw64"].attach
