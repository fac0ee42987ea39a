from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.errors import SourceError
from minios_steps.core.kbuild import KbuildRules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# In the manner of BusyBox's own files; written for these tests.
MAKEFILE = """\
# libs-y := commented/
core-y\t\t:= \\
\t\tapplets/ \\

libs-y\t\t:= \\
\t\tarc/ \\
\t\tlib/ \\
\t\tempty/ \\

core-y\t\t:= $(patsubst %/, %/built-in.o, $(core-y))
"""

FILES = {
    "Makefile": MAKEFILE,
    "applets/Kbuild.src": "obj-y :=\nobj-y += applets.o\nhostprogs-y += usage\napplets/applets.o: x.h\n",
    "applets/applets.c": "int main;\n",
    "lib/Kbuild.src": "lib-y:=\n\nINSERT\nlib-y += xread.o sum.o # always\nlib-$(CONFIG_B) += shared.o\n",
    "lib/a.c": "//kbuild:lib-$(CONFIG_A) += a.o shared.o\n//kbuild:### lib-$(CONFIG_A) += never.o\n",
    "lib/b.c": "//config:config B\n//kbuild:lib-$(CONFIG_B) += b.o\n",
    "lib/c.c": "//kbuild:ifneq ($(CONFIG_SMALL),y)\n//kbuild:lib-$(CONFIG_C) += c.o\n//kbuild:endif\n",
    "lib/d.c": (
        "//kbuild:ifeq ($(CONFIG_FANCY),y)\n//kbuild:lib-$(CONFIG_D) += d_fancy.o\n"
        "//kbuild:else\n//kbuild:lib-$(CONFIG_D) += d.o\n//kbuild:endif\n"
    ),
    "lib/sum.S": ".text\n",
    "lib/xread.c": "",
    "lib/xread.S": "",
    "arc/Kbuild.src": (
        "lib-y:= \n\nCOMMON:= \\\n\\\n\tskip.o \\\n\tseek.o \\\n\nINSERT\n"
        "lib-$(CONFIG_TAR) += tar.o\nlib-$(CONFIG_NAMES) += names.o\n"
        "ifneq ($(lib-y),)\nlib-y += $(COMMON)\nendif\n"
    ),
    "other/Kbuild.src": "lib-y += not_visited.o\n",
}


def tarball(folder: Path, files: Mapping[str, str], *, mode: str = "w:gz") -> Path:
    path = folder / "busybox.tar"
    with tarfile.open(path, mode) as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"busybox-1.38.0/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def rules(tmp_path: Path) -> KbuildRules:
    return KbuildRules.from_tarball(tarball(tmp_path, FILES))


ALWAYS = ("applets/applets.o", "lib/sum.o", "lib/xread.o")


@pytest.mark.parametrize(
    ("config", "more"),
    [
        ({}, ()),
        ({"A": "n"}, ()),
        ({"A": "y"}, ("lib/a.o", "lib/shared.o")),
        ({"A": "y", "B": "y"}, ("lib/a.o", "lib/b.o", "lib/shared.o")),
        ({"C": "y"}, ("lib/c.o",)),
        ({"C": "y", "SMALL": "y"}, ()),
        ({"D": "y"}, ("lib/d.o",)),
        ({"D": "y", "FANCY": "y"}, ("lib/d_fancy.o",)),
        ({"TAR": "y"}, ("arc/seek.o", "arc/skip.o", "arc/tar.o")),
        # A text is no `y`: kbuild would add to a variable that nobody reads.
        ({"NAMES": '"x"'}, ()),
    ],
)
def test_objects(rules: KbuildRules, config: dict[str, str], more: tuple[str, ...]) -> None:
    assert rules.objects(config) == tuple(sorted((*ALWAYS, *more)))


def test_assembler_files_are_told_apart(rules: KbuildRules) -> None:
    assert rules.assembler == {"lib/sum.o"}
    assert rules.count({}) == 3
    assert rules.count({}, assembler=False) == 2


def test_json_round_trip(rules: KbuildRules) -> None:
    again = KbuildRules.from_json(rules.to_json())
    assert again == rules
    assert again.to_json() == rules.to_json()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "folders": 3}'])
def test_json_that_is_none(text: str) -> None:
    with pytest.raises(SourceError, match="kbuild rules are"):
        KbuildRules.from_json(text)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_any_compression(tmp_path: Path, mode: str) -> None:
    assert KbuildRules.from_tarball(tarball(tmp_path, FILES, mode=mode)).count({}) == 3


def test_a_tarball_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no BusyBox"):
        KbuildRules.from_tarball(tarball(tmp_path, {"Makefile": "all:\n\ttrue\n"}))


def test_not_a_tarball(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(b"\x1f\x8b garbage")
    with pytest.raises(SourceError, match="cannot be read"):
        KbuildRules.from_tarball(path)


def test_a_truncated_tarball(tmp_path: Path) -> None:
    path = tarball(tmp_path, FILES)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SourceError, match="cannot be read"):
        KbuildRules.from_tarball(path)
