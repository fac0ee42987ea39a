from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from driftbed import CONFIG, drifting_project
from minios_master.cli.drift import drift
from minios_master.cli.output import CliContext
from upstreambed import small_release

from minios_steps.core.cancel import never
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.upstream.drift import Drift, StaleLine, drift_between, last_before
from minios_steps.core.upstream.symbols import Symbol, parse_symbols, read_symbols
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

TC = StaleLine("kconfig/base.config:1", "CONFIG_TC=y", "it is now CONFIG_TRAFFIC_CONTROL")
INOTIFYD = StaleLine("arches/sw64.yaml, kconfig:2", "CONFIG_INOTIFYD=y", "it is an int now")


def between(folder: Path, old: str, new: str) -> Drift:
    project = drifting_project(folder)
    versions = (project.version(old), project.version(new))
    cache = SourceCache(folder / "cache")
    return drift_between(project, *versions, cache=cache, report=print, cancelled=never)


def test_compared_with_the_last_release_before(tmp_path: Path) -> None:
    project = drifting_project(tmp_path)
    assert project.discoveries is not None
    last = {text: str(last_before(project, Version.parse(text))) for text in ("1.35.1", "1.40.0", "1.40.1")}
    assert last == {"1.35.1": "1.35.0", "1.40.0": "1.38.0", "1.40.1": "1.38.0"}
    project.discoveries.mark_passed("1.40.0")
    project.discoveries.approve("1.40.0", "somebody")
    assert str(last_before(project, Version.parse("1.40.1"))) == "1.40.0"
    assert str(last_before(project, Version.parse("1.2.3"))) == "1.38.0"


def test_symbols() -> None:
    found = parse_symbols(CONFIG.splitlines(), "Config.in")
    assert found == [
        Symbol("STATIC", "bool", "Build static", "Config.in"),
        Symbol("EXTRA_LDFLAGS", "string", "Additional LDFLAGS", "Config.in"),
        Symbol("USE_BB_CRYPT", "bool", "Use our crypt", "Config.in"),
    ]


@pytest.mark.parametrize("size", ["(8.3 kb)", "(17 kb)", "(123 bytes)", "(2b)"])
def test_size_is_no_part_of_the_question(size: str) -> None:
    [found] = parse_symbols(["config X", f'\tbool "ls {size}"'], "x")
    assert found.prompt == "ls"


def test_symbol_that_is_there_twice_has_its_question(tmp_path: Path) -> None:
    text = 'config A\n\tbool\nconfig A\n\tbool "Question"\nconfig A\n\tint "Another"\n'
    (tmp_path / "x").write_bytes(small_release("1", files={"Config.in": text, "README": "config B"}))
    assert read_symbols(tmp_path / "x") == {"A": Symbol("A", "bool", "Question", "Config.in")}


@pytest.mark.parametrize("data", [b"", b"text", small_release("1")])
def test_no_busybox(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(SourceError, match="BusyBox"):
        read_symbols(tmp_path / "x")


def test_new_gone_renamed_and_the_lines_of_each_arch(tmp_path: Path) -> None:
    found = between(tmp_path, "1.38.0", "1.40.0")
    assert found.added == ("NEW_APPLET",)
    assert found.gone == ("GONE",)
    assert found.renamed == (("TC", "TRAFFIC_CONTROL"),)
    assert found.stale == {"sw64": (TC, INOTIFYD), "x86_64": (TC,)}
    assert found.summary == (
        "1.38.0 to 1.40.0: 1 new, 1 gone, 1 renamed symbols; 2 fragment lines do not apply"
    )
    assert "renamed: CONFIG_TC → CONFIG_TRAFFIC_CONTROL" in found.lines
    assert "x86_64: kconfig/base.config:1: CONFIG_TC=y: it is now CONFIG_TRAFFIC_CONTROL" in found.lines


def test_nothing_changed(tmp_path: Path) -> None:
    found = between(tmp_path, "newest", "1.38.0")
    assert (found.added, found.gone, found.renamed) == ((), (), ())
    assert found.stale == {"sw64": (), "x86_64": ()}
    assert found.lines[1:] == (
        "sw64: every fragment line applies",
        "x86_64: every fragment line applies",
    )


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = drifting_project(tmp_path)

    class Context:
        obj = CliContext(project.root, tmp_path / "state")

    ctx: Any = Context()
    for old, new, code in (("newest", "1.40.0", 1), ("1.38.0", "1.38.0", 0)):
        with pytest.raises(typer.Exit) as ended:
            drift(ctx, old, new, as_json=True)
        assert ended.value.exit_code == code
        told = json.loads(capsys.readouterr().out)
        assert (told["new"], bool(told["stale"]["x86_64"])) == (new, bool(code))
    with pytest.raises(typer.Exit):
        drift(ctx, "1.38.0", "1.40.0")
    assert "gone: CONFIG_GONE\n" in capsys.readouterr().out
