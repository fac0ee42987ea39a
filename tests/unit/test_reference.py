from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys

import pytest
from configbed import ROOT

PROGRAM = ROOT / "docs" / "generate_reference.py"
WRITTEN = (ROOT / "docs" / "reference.md").read_text("utf-8")


def printed(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_what_the_code_says() -> None:
    # A width, colours and a place of its own change nothing.
    told = printed(COLUMNS="20", FORCE_COLOR="1", MINIOS_CONFIG="/nowhere")
    changes = difflib.unified_diff(
        WRITTEN.splitlines(), told.splitlines(), "written", "the code", n=0, lineterm=""
    )
    same = told == WRITTEN
    advice = "docs/reference.md is old: run .venv/bin/python docs/generate_reference.py --write"
    assert same, "\n".join((advice, *changes))


def test_it_says_how_it_is_written() -> None:
    assert "docs/generate_reference.py --write" in WRITTEN.partition("##")[0]


def test_every_variable_of_the_environment_is_told() -> None:
    found = set()
    for path in [*(ROOT / "master").rglob("*"), *(ROOT / "minios_steps").rglob("*.py")]:
        if path.suffix in {".py", ".cfg", ".tac"}:
            text = path.read_text("utf-8")
            found |= set(re.findall(r"MINIOS_[A-Z_]*[A-Z]", text))
            found |= {f"MINIOS_{name}" for name in re.findall(r'_PREFIX \+ "([A-Z_]+)"', text)}
    assert found
    assert {name for name in found if f"| `{name}` |" not in WRITTEN} == set()


@pytest.mark.parametrize("chapter", ["Commands", "Configuration", "Steps", "Dependencies"])
def test_chapters_are_linked(chapter: str) -> None:
    assert f"[{chapter}](#{chapter.lower()})" in WRITTEN
    assert f"\n## {chapter}\n" in WRITTEN
