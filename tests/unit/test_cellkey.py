from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from minios_steps.core.cellkey import PIPELINE_VERSION, CellInputs
from minios_steps.core.errors import ConfigError

IDENTITY = """\
Target: x86_64-linux-gnu
gcc version {gcc} (Debian {gcc}-14)
target x86_64-linux-gnu
libc {libc}
linux headers 6.1.140
linker GNU ld (GNU Binutils for Debian) 2.40
libc.a 1234567890
"""

BASE = CellInputs(
    version="1.37.0",
    source_sha256="a" * 64,
    patches=("1" * 64,),
    kconfig='EXTRA_LDFLAGS="-Wl,-z,x"\nTC=y\n',
    kconfig_base="defconfig",
    variant="static",
    arch="x86_64",
    platform="linux/amd64",
    make_arch="x86_64",
    prefix="",
    toolchain=IDENTITY.format(gcc="12.2.0", libc="glibc 2.36"),
    skeleton="5" * 64,
    epoch=1700000000,
    command=("/bin/sh",),
    labels=(("org.opencontainers.image.title", "minios"),),
)


def test_the_key_of_these_inputs_never_changes() -> None:
    # If it does, every candidate that anybody has is built again: raise PIPELINE_VERSION instead.
    assert dataclasses.replace(BASE, pipeline=1).key.hex == GOLDEN


GOLDEN = "6756dfbdc5e3ea75d936b5301f625423593494d30eef3d6d14a3e5f8dd57a31d"

CHANGES: dict[str, tuple[Any, list[str]]] = {
    "version": ("1.38.0", ["source: 1.37.0 → 1.38.0"]),
    "source_sha256": ("b" * 64, ["source: another tarball, aaaaaaaaaaaa → bbbbbbbbbbbb"]),
    "patches": ((), ["patches: 111111111111 → none"]),
    "kconfig": (
        'EXTRA_LDFLAGS="-Wl,-z,x"\nINOTIFYD=y\nTC=n\n',
        ["kconfig: CONFIG_INOTIFYD not asked for → y", "kconfig: CONFIG_TC y → n"],
    ),
    "kconfig_base": ("allnoconfig", ["kconfig base: defconfig → allnoconfig"]),
    "variant": ("dynamic", ["variant: static → dynamic"]),
    "arch": ("sw64", ["arch: x86_64 → sw64"]),
    "platform": ("linux/sw64", ["platform: linux/amd64 → linux/sw64"]),
    "make_arch": ("sw_64", ["make ARCH: x86_64 → sw_64"]),
    "prefix": ("x86_64-linux-gnu-", ["compiler prefix: none → x86_64-linux-gnu-"]),
    "toolchain": (
        IDENTITY.format(gcc="13.1.0", libc="glibc 2.37"),
        ["compiler: gcc 12.2.0 → 13.1.0", "libc: glibc 2.36 → glibc 2.37"],
    ),
    "skeleton": ("6" * 64, ["skeleton: 555555555555 → 666666666666"]),
    "epoch": (1700000001, ["SOURCE_DATE_EPOCH: 1700000000 → 1700000001"]),
    "command": (("/bin/sh", "-l"), ["command: /bin/sh → /bin/sh -l"]),
    "labels": ((), ["label org.opencontainers.image.title minios → none"]),
    "backend": ("docker", ["backend: oci → docker"]),
    "pipeline": (PIPELINE_VERSION + 1, [f"pipeline version: {PIPELINE_VERSION} → {PIPELINE_VERSION + 1}"]),
}


def test_every_input_is_tested() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(CellInputs)}


@pytest.mark.parametrize("name", CHANGES)
def test_every_input_changes_the_key_and_is_explained(name: str) -> None:
    value, expected = CHANGES[name]
    other = dataclasses.replace(BASE, **{name: value})
    assert other.key != BASE.key
    assert other.explain(BASE) == expected


def test_the_same_inputs_have_the_same_key_and_nothing_to_explain() -> None:
    again = dataclasses.replace(BASE)
    assert again.key == BASE.key
    assert again.explain(BASE) == []


def test_another_release_is_one_line_not_two() -> None:
    other = dataclasses.replace(BASE, version="1.38.0", source_sha256="b" * 64)
    assert other.explain(BASE) == ["source: 1.37.0 → 1.38.0"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("gcc version 12.2.0\n", "clang version 15.0.6\n", "compiler: gcc 12.2.0 → clang 15.0.6"),
        (
            "gcc version 12.2.0 (a)\nx\n",
            "gcc version 12.2.0 (b)\nx\n",
            "compiler: gcc version 12.2.0 (a) → ",
        ),
        ("libc.a 1\n", "libc.a 2\n", "compiler: libc.a 1 → libc.a 2"),
        ("a\nb\n", "a\n", "compiler: b → none"),
        ("", "cc\n", "compiler: none → cc"),
    ],
)
def test_compilers_of_many_kinds(old: str, new: str, expected: str) -> None:
    before, after = (dataclasses.replace(BASE, toolchain=text) for text in (old, new))
    [line] = after.explain(before)
    assert line.startswith(expected)


def test_order_of_patches_matters() -> None:
    one, two = "1" * 64, "2" * 64
    forth, back = (dataclasses.replace(BASE, patches=order) for order in ((one, two), (two, one)))
    assert forth.key != back.key


def test_json_round_trip() -> None:
    again = CellInputs.from_json(json.loads(json.dumps(BASE.as_json())))
    assert again == BASE
    assert again.key == BASE.key


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "1700000000"},
        {"epoch": True},
        {"patches": "1"},
        {"patches": [1]},
        {"labels": [["only"]]},
        {"version": None},
        {"more": 1},
    ],
)
def test_damaged_json(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="recorded inputs are damaged"):
        CellInputs.from_json({**BASE.as_json(), **change})


def test_json_with_an_input_missing() -> None:
    data = BASE.as_json()
    del data["skeleton"]
    with pytest.raises(ConfigError, match="damaged: 'skeleton'"):
        CellInputs.from_json(data)
