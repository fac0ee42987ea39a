from __future__ import annotations

import io
from typing import Any

import pytest
from minios_master.live import LiveDisplay, progress_table
from minios_master.printable import printable
from minios_master.progress import PIPELINE, CellProgress, MatrixProgress
from rich.console import Console

NASTY = "echo.c:5:x:1: error: unused [-Werror=unused] [/red] [bold]:warning: [/] \\[x]"


def cell(arch: str = "x86_64", state: str = "running", text: str = "text", **steps: str) -> CellProgress:
    return CellProgress(arch, "1.38.0", "static", state, steps, text, 12.34)


def progress(*cells: CellProgress) -> MatrixProgress:
    return MatrixProgress(cells, (), complete=False)


def log_of(*shown: MatrixProgress) -> list[str]:
    """What is printed where there is no terminal."""
    out = io.StringIO()
    with LiveDisplay(Console(file=out, width=80)) as display:
        for one in shown:
            display.show(one)
    return out.getvalue().splitlines()


def drawn(*cells: CellProgress, width: int = 160, **options: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=width, **options).print(progress_table(progress(*cells), width))
    return out.getvalue()


def test_a_line_for_each_change() -> None:
    assert log_of(
        progress(),
        progress(cell(probe="running")),
        progress(cell(probe="running")),
        progress(cell(probe="done")),
        progress(cell(probe="done", compile="running", text="1 of 9 files")),
        progress(cell(probe="done", compile="running", text="5 of 9 files")),
        progress(cell(state="done", text="pushed", probe="done", compile="done")),
        progress(cell(state="done", text="pushed", probe="done", compile="done")),
    ) == [
        "[  12.3 s] x86_64 1.38.0 static  probe: started",
        "[  12.3 s] x86_64 1.38.0 static  compile: started",
        "[  12.3 s] x86_64 1.38.0 static  done: pushed",
    ]


def test_each_cell_has_its_own_lines() -> None:
    one, two = cell(probe="running"), cell("sw64", "failed", "no compiler")
    assert log_of(progress(one, two), progress(one, two)) == [
        "[  12.3 s] x86_64 1.38.0 static  probe: started",
        "[  12.3 s] sw64 1.38.0 static  failed: no compiler",
    ]


def test_cell_that_starts_again_is_told_again() -> None:
    lines = log_of(progress(cell(compile="running")), progress(cell(probe="running")))
    assert [line.split("  ")[-1] for line in lines] == ["compile: started", "probe: started"]


def test_texts_are_no_markup_and_no_emoji_and_not_folded() -> None:
    [line] = log_of(progress(cell(state="failed", text=NASTY)))
    assert line.endswith(f"failed: {NASTY}")
    assert NASTY in drawn(cell(state="failed", text=NASTY), width=200)


def test_texts_cannot_steer_the_terminal() -> None:
    text = "\x1b]0;title\x07\x1b[31mred\nnext\tline\x9b"
    [line] = log_of(progress(cell(state="failed", text=text)))
    assert line.endswith("failed: ?]0;title??[31mred next line?")
    assert "\x1b" not in drawn(cell(text=text))


def test_printable_keeps_words() -> None:
    assert printable("Übersetzer: «x» 一") == "Übersetzer: «x» 一"


def test_table_has_a_mark_for_each_step() -> None:
    steps = {"probe": "done", "reuse": "failed", "fetch": "skipped", "configure": "running"}
    head, row = drawn(cell(text="1 of 9", **steps)).splitlines()
    assert head.split() == ["arch", "version", "variant", *PIPELINE, "elapsed", "now"]
    assert row.split() == ["x86_64", "1.38.0", "static", *"✓✗-●······"[:10], "12", "s", "1", "of", "9"]


@pytest.mark.parametrize("width", [70, 80, 129, 130, 300])
def test_table_is_a_line_for_each_cell_and_loses_only_the_end(width: int) -> None:
    steps = {"probe": "done", "reuse": "failed", "fetch": "skipped", "configure": "running"}
    text = "a very long line that a compiler printed " * 9
    head, row, other = drawn(cell(text=text, **steps), cell("sw64"), width=width).splitlines()
    assert "…" not in head
    assert row.split()[:3] == ["x86_64", "1.38.0", "static"]
    assert ("✓✗-●·····" in row) == (width < 130)
    assert "12 s  a very long" in row
    assert row.rstrip().endswith("…")
    assert other.split()[-3:] == ["12", "s", "text"]
    assert max(len(line) for line in (head, row, other)) <= width


def test_step_that_an_ended_cell_does_not_have_was_not_needed() -> None:
    _, row = drawn(cell(state="done", text="reused", probe="done", reuse="done")).splitlines()
    assert row.split()[3:13] == [*"✓✓--------"]


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_terminal_that_cannot_redraw_gets_lines(term: str) -> None:
    out = io.StringIO()
    console = Console(file=out, width=160, force_terminal=True, _environ={"TERM": term})
    with LiveDisplay(console) as display:
        display.show(progress(cell(probe="running")))
        display.show(progress(cell(state="done", text="pushed", probe="done")))
    assert out.getvalue().splitlines() == [
        "[  12.3 s] x86_64 1.38.0 static  probe: started",
        "[  12.3 s] x86_64 1.38.0 static  done: pushed",
    ]


def test_terminal_is_left_as_it_was() -> None:
    out = io.StringIO()
    console = Console(file=out, width=160, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    with LiveDisplay(console) as display:
        display.show(progress(cell(text="halfway")))
    said = out.getvalue()
    assert "halfway" in said
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert said.rindex(hidden) < said.rindex(shown)
