from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer
from configbed import ROOT, write_config
from minios_master.cli import main
from minios_master.cli.folders import resolve, with_folders
from minios_master.cli.main import run
from minios_master.cli.output import CliContext, err_console, out_console, print_json, table

from minios_steps.core.errors import ConfigError, MiniosError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEEN: list[CliContext] = []
RAISED: list[BaseException] = []
LOADED: list[str] = []


def probe(ctx: typer.Context, name: str = "") -> None:  # noqa: ARG001
    """A command for tests: notes what it was given, then raises what it was told to."""
    SEEN.append(ctx.obj)
    if RAISED:
        raise RAISED.pop()


@pytest.fixture(autouse=True)
def _probe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    SEEN.clear()
    RAISED.clear()
    commands = {"probe": "probe:probe", "check": "check:check", "group probe": "probe:probe"}
    monkeypatch.setattr(main, "COMMANDS", {**commands, "group check": "check:check"})
    monkeypatch.setattr(main, "GROUPS", {"group": "Several of a kind."})
    load: Callable[[str], Any] = main._load
    LOADED.clear()

    def noting(place: str) -> Any:
        LOADED.append(place)
        return probe if place == "probe:probe" else load(place)

    monkeypatch.setattr(main, "_load", noting)
    monkeypatch.chdir(tmp_path)
    for name in ("MINIOS_CONFIG", "MINIOS_STATE"):
        monkeypatch.delenv(name, raising=False)


def code(*words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(list(words))
    return done.value.code


@pytest.mark.parametrize(
    "words",
    [
        ("--config", "one", "--state", "two", "probe"),
        ("probe", "--config", "one", "--state", "two"),
        ("--config", "other", "probe", "--state=two", "--config=one"),
        ("--config", "probe", "probe", "--config", "one", "--state", "two", "--name", "x"),
        ("group", "probe", "--config", "one", "--state", "two"),
        ("--config", "one", "group", "--state", "two", "probe"),
        ("--config", "other", "group", "--config=one", "probe", "--state", "two"),
    ],
)
def test_folders_before_or_after_the_command(words: tuple[str, ...], tmp_path: Path) -> None:
    assert code(*words) == 0
    [seen] = SEEN
    assert seen == CliContext(tmp_path / "one", tmp_path / "two")
    assert LOADED == ["probe:probe"], "the other commands cost nothing"


def test_folders_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINIOS_CONFIG", "env")
    monkeypatch.setenv("MINIOS_STATE", "kept")
    assert resolve(None, None) == CliContext(tmp_path / "env", tmp_path / "kept")
    assert resolve(tmp_path / "asked", None).config == tmp_path / "asked"


def test_config_here_keeps_its_state_beside_it(tmp_path: Path) -> None:
    write_config(tmp_path / "config")
    assert resolve(None, None) == CliContext(tmp_path / "config", tmp_path / ".state")


def test_without_a_config_here_the_checkout_is_taken() -> None:
    assert resolve(None, None) == CliContext(ROOT / "config", ROOT / ".state")


def test_asked_for_config_keeps_its_state_here(tmp_path: Path) -> None:
    assert resolve(tmp_path / "a" / "b", None).state == tmp_path / ".state"


def test_command_keeps_its_own_options() -> None:
    wrapped = with_folders(probe)
    assert wrapped.__doc__ == probe.__doc__
    assert list(wrapped.__annotations__) == ["ctx", "name", "config", "state"]


def test_error_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    RAISED.append(ConfigError("a.yaml:3: key: wrong", hint="write it right"))
    assert code("probe") == 2
    said = capsys.readouterr()
    assert said.err == "minios: a.yaml:3: key: wrong\n  hint: write it right\n"
    assert said.out == ""


def test_error_without_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    RAISED.append(MiniosError("[red]no markup[/red]", details="only for logs"))
    assert code("probe") == 2
    assert capsys.readouterr().err == "minios: [red]no markup[/red]\n"


def test_full_disk_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    RAISED.append(OSError(28, "No space left on device", "/var/x"))
    assert code("probe") == 2
    assert capsys.readouterr().err == "minios: /var/x: No space left on device\n"


def test_interrupt() -> None:
    RAISED.append(KeyboardInterrupt())
    assert code("probe") == 130


def test_exit_code_of_a_failed_cell() -> None:
    RAISED.append(typer.Exit(1))
    assert code("probe") == 1


@pytest.mark.parametrize(
    "words",
    [("chek",), ("probe", "--bad"), ("probe", "word"), (), ("group",), ("group", "chek"), ("group", "--bad")],
)
def test_wrong_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert code(*words) == 2
    said = capsys.readouterr()
    assert "Usage" in said.out + said.err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert code("--help") == 0
    said = capsys.readouterr().out
    assert "probe" in said
    assert "check" in said
    assert "Several of a kind." in said
    assert code("group", "--help") == 0
    said = capsys.readouterr().out
    assert "probe" in said
    assert "check" in said


def test_no_colour_when_not_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out_console().print(table(("a", "b"), [("[bold]x[/bold]", "y")]), "[red]red[/red]")
    err_console().print("[red]red[/red]")
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "[bold]x[/bold]" in said.out


def test_long_lines_of_a_log_are_not_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out_console().print(table(("digest",), [("d" * 120,)]))
    assert "d" * 120 in capsys.readouterr().out


def test_json_keeps_text_readable(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Señor"})
    assert capsys.readouterr().out == '{\n  "name": "Señor"\n}\n'


def test_light_commands_import_no_buildbot(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config")
    script = (
        "import sys; from minios_master.cli.main import run\n"
        "try: run(sys.argv[1:])\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "heavy = {'twisted', 'buildbot', 'requests', 'docker'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", script, "check", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_terminal_that_has_ascii_only(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    code("probe", "--help")
    sys.stdout.write("kconfig: CONFIG_TC y → n, é\n")
    stream.flush()
    assert stream.buffer.getvalue().endswith(b"\nkconfig: CONFIG_TC y -> n, ?\n")  # type: ignore[attr-defined]
