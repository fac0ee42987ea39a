"""The benches start: each in its smallest size, where that takes seconds. Nothing is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from userland import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BENCH = ROOT / "tests" / "bench"


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=BENCH, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["ours", "plain"])
def test_a_master_with_instant_cells(kind: str, tmp_path: Path) -> None:
    [told] = json.loads(run("dispatch_child.py", kind, str(tmp_path / "master"), "1", "1", "1"))
    assert told["good"] == 1
    assert min(told["wall"], told["cpu"], told["rss"]) > 0


def test_the_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- measured: begin -->\n<!-- measured: end -->\n", "utf-8")
    out = run("run.py", "--only", "gather", "--quick", "--markdown", str(page))
    assert "index of 20 cells" in out
    assert "| gather and release of an index of 20 cells |" in page.read_text("utf-8")


def test_every_subject_can_be_asked_for() -> None:
    code = """from importlib import import_module
from run import SUBJECTS
for subject in SUBJECTS:
    assert import_module(f"bench_{subject}").rows
"""
    run("-c", code)
