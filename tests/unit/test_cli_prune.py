from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.cli.main import run
from releasebed import OLDER, cell, make_project, put_candidate

from minios_steps.core.candidates import CandidateStore

if TYPE_CHECKING:
    from pathlib import Path

DAY = 24 * 3600


def prune(capsys: Any, state: Path, *words: str) -> str:
    with pytest.raises(SystemExit) as done:
        run(["prune", "--state", str(state), *words])
    assert not done.value.code
    told: str = capsys.readouterr().out
    return told


@pytest.fixture
def store(tmp_path: Path) -> CandidateStore:
    """Three images, of which one was used today."""
    project = make_project(tmp_path / "config")
    made = CandidateStore(tmp_path / "state" / "store")
    for one in (cell(), cell("aarch64"), cell(version=OLDER)):
        put_candidate(made, project, one)
    for path in made.root.rglob("*"):
        os.utime(path, (time.time() - 100 * DAY,) * 2)
    today = made.latest("aarch64", "1.38.0", "static")
    assert today
    made.use(today.key)
    return made


def test_what_nothing_used_for_long_goes(store: CandidateStore, tmp_path: Path, capsys: Any) -> None:
    assert "0 of 3 images were not used for 101 days" in prune(capsys, tmp_path / "state", "--days", "101")
    told = prune(capsys, tmp_path / "state")
    assert told.startswith("2 of 3 images were not used for 90 days and are removed")
    assert store.latest("x86_64", "1.38.0", "static") is None
    left = store.latest("aarch64", "1.38.0", "static")
    assert left
    assert store.find(left.key) == left


def test_the_other_image_of_one_that_stays(store: CandidateStore, tmp_path: Path, capsys: Any) -> None:
    left = store.latest("aarch64", "1.38.0", "static")
    assert left
    store.put_other(left, {})
    (store.root / "cells" / "strange.json").write_text("{}")
    prune(capsys, tmp_path / "state")
    assert store.others() == (left,)


def test_json(store: CandidateStore, tmp_path: Path, capsys: Any) -> None:
    told = json.loads(prune(capsys, tmp_path / "state", "--json"))
    assert (told["removed"], told["kept"]) == (2, 1)
    assert told["blobs"] > 0
    assert len(store.used_since(0)) == 1


def test_nothing_there(tmp_path: Path, capsys: Any) -> None:
    assert prune(capsys, tmp_path / "state").startswith("0 of 0 images")
    assert not (tmp_path / "state" / "store").exists()
