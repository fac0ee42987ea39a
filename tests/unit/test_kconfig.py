from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from configbed import ROOT

from minios_steps.core.errors import KconfigError
from minios_steps.core.kconfig import (
    Asked,
    Fragment,
    apply,
    canonical,
    merge,
    parse_dotconfig,
    parse_fragment,
    verify,
)

if TYPE_CHECKING:
    from pathlib import Path

DOTCONFIG = """\
#
# Automatically generated make config: don't edit
#
CONFIG_HAVE_DOT_CONFIG=y
# CONFIG_STATIC is not set
CONFIG_TC=y
CONFIG_SUBST_WCHAR=63
CONFIG_LAST_SUPPORTED_WCHAR=767
CONFIG_EXTRA_LDFLAGS=""
# CONFIG_INOTIFYD is not set
"""


def asked(text: str, origin: str = "a.config") -> dict[str, Asked]:
    return merge([Fragment(origin, text)])


def test_every_kind_of_value() -> None:
    text = """
# a comment, and one on CONFIG_TC=y
CONFIG_A=y
CONFIG_B=n
# CONFIG_C is not set
CONFIG_D=0
CONFIG_E=-12
CONFIG_F=0x1F
CONFIG_G="a \\"b\\" $HOME # no comment"
CONFIG_H=""
  CONFIG_I=y\t
"""
    assert parse_fragment(Fragment("x", text)) == {
        "A": "y",
        "B": "n",
        "C": "n",
        "D": "0",
        "E": "-12",
        "F": "0x1F",
        "G": '"a \\"b\\" $HOME # no comment"',
        "H": '""',
        "I": "y",
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("CONFIG_A=", "x:2: CONFIG_A: not a value: ''"),
        ("CONFIG_A=m", "x:2: CONFIG_A: not a value: 'm'"),
        ("CONFIG_A=yes", "x:2: CONFIG_A: not a value: 'yes'"),
        ("CONFIG_A=007", "x:2: CONFIG_A: not a value: '007'"),
        ('CONFIG_A="b', "x:2: CONFIG_A: not a value: '\"b'"),
        ('CONFIG_A="b" c', "x:2: CONFIG_A: not a value"),
        ("CONFIG_A=y # why", "x:2: CONFIG_A: not a value: 'y # why'"),
        ("CONFIG_A", "x:2: not a setting: 'CONFIG_A'"),
        ("A=y", "x:2: not a setting: 'A=y'"),
        ("#CONFIG_A is not set", "x:2: not a setting"),
        ("# CONFIG_A is not set, because", "x:2: not a setting"),
        ("# A is not set", "x:2: not a setting"),
        ("CONFIG_A=y\nCONFIG_A=y", "x:3: CONFIG_A is there twice, first at x:2"),
        ("CONFIG_A=y\n# CONFIG_A is not set", "x:3: CONFIG_A is there twice, first at x:2"),
    ],
)
def test_a_bad_line_is_told_with_its_origin(line: str, expected: str) -> None:
    with pytest.raises(KconfigError) as caught:
        parse_fragment(Fragment("x", f"\n{line}\n"))
    assert caught.value.what.startswith(expected)


def test_the_last_fragment_wins_and_is_the_origin() -> None:
    found = merge(
        [Fragment("base", "CONFIG_A=y\nCONFIG_B=y\n"), Fragment("arch", "\n# CONFIG_A is not set\n")]
    )
    assert found == {"A": Asked("A", "n", "arch:2"), "B": Asked("B", "y", "base:2")}


def test_canonical_does_not_depend_on_order_or_origin() -> None:
    one, other = asked("CONFIG_B=1\nCONFIG_A=n\n"), asked("# CONFIG_A is not set\n\nCONFIG_B=1\n", "other")
    assert canonical(one) == canonical(other) == "A=n\nB=1\n"


def test_apply_replaces_in_place_and_appends_the_rest_sorted() -> None:
    got = apply(DOTCONFIG, asked("CONFIG_ZED=y\nCONFIG_STATIC=y\n# CONFIG_TC is not set\nCONFIG_NEW=3\n"))
    assert got.splitlines()[3:] == [
        "CONFIG_HAVE_DOT_CONFIG=y",
        "CONFIG_STATIC=y",
        "# CONFIG_TC is not set",
        "CONFIG_SUBST_WCHAR=63",
        "CONFIG_LAST_SUPPORTED_WCHAR=767",
        'CONFIG_EXTRA_LDFLAGS=""',
        "# CONFIG_INOTIFYD is not set",
        "CONFIG_NEW=3",
        "CONFIG_ZED=y",
    ]


def test_apply_leaves_one_line_for_a_symbol() -> None:
    assert apply("CONFIG_A=y\n# CONFIG_A is not set\n", asked("CONFIG_A=3\n")) == "CONFIG_A=3\n"


def test_apply_is_idempotent() -> None:
    wish = asked('CONFIG_STATIC=y\nCONFIG_EXTRA_LDFLAGS="-Wl,-z,x"\n')
    once = apply(DOTCONFIG, wish)
    assert apply(once, wish) == once
    verify(once, wish)


def test_parse_dotconfig() -> None:
    assert parse_dotconfig(DOTCONFIG) == {
        "HAVE_DOT_CONFIG": "y",
        "STATIC": "n",
        "TC": "y",
        "SUBST_WCHAR": "63",
        "LAST_SUPPORTED_WCHAR": "767",
        "EXTRA_LDFLAGS": '""',
        "INOTIFYD": "n",
    }


def test_verify_passes_what_stuck() -> None:
    verify(DOTCONFIG, asked("CONFIG_TC=y\n# CONFIG_STATIC is not set\nCONFIG_SUBST_WCHAR=0x3f\n"))
    verify(DOTCONFIG, {})


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("CONFIG_STATIC=y", "CONFIG_STATIC did not stick: asked for y, got n (a.config:1)"),
        ("# CONFIG_TC is not set", "CONFIG_TC did not stick: asked for n, got y (a.config:1)"),
        ("CONFIG_SUBST_WCHAR=64", "CONFIG_SUBST_WCHAR did not stick: asked for 64, got 63 (a.config:1)"),
        (
            'CONFIG_EXTRA_LDFLAGS="-s"',
            'CONFIG_EXTRA_LDFLAGS did not stick: asked for "-s", got "" (a.config:1)',
        ),
        ("CONFIG_QUITE_OTHER=y", "CONFIG_QUITE_OTHER does not exist in this release (a.config:1)"),
        (
            "CONFIG_INOTIFY=y",
            "CONFIG_INOTIFY does not exist in this release, did you mean CONFIG_INOTIFYD? (a.config:1)",
        ),
        # A symbol that is off because it is gone is not what was asked for either.
        ("# CONFIG_GONE is not set", "CONFIG_GONE does not exist in this release (a.config:1)"),
    ],
)
def test_verify_names_what_did_not_stick(wish: str, expected: str) -> None:
    with pytest.raises(KconfigError) as caught:
        verify(DOTCONFIG, asked(wish))
    assert caught.value.what == expected


def test_verify_names_every_symbol() -> None:
    with pytest.raises(KconfigError) as caught:
        verify(DOTCONFIG, asked("CONFIG_STATIC=y\nCONFIG_INOTIFYD=y\nCONFIG_NONE=1\n"))
    assert caught.value.what.endswith("; also CONFIG_NONE, CONFIG_STATIC")
    assert len(caught.value.details.splitlines()) == 3


@pytest.mark.parametrize(
    "path", sorted((ROOT / "config/kconfig").rglob("*.config")), ids=lambda path: path.name
)
def test_the_shipped_fragments_can_be_read(path: Path) -> None:
    assert parse_fragment(Fragment(path.name, path.read_text("utf-8")))
