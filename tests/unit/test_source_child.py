from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import child


def alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has waited for does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_output_errors_and_status_come_back(tmp_path: Path) -> None:
    script = "pwd; echo $MINE; echo $LC_ALL; echo ${HOME-no home}; echo oops >&2; exit 3"
    done = child.run(
        ("sh", "-c", script), folder=tmp_path, environment={"MINE": "yes", "HOME": None}, seconds=30
    )
    assert done == child.Finished(3, f"{tmp_path}\nyes\nC\nno home\n", "oops\n")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot run no-such-program: "):
        child.run(("no-such-program",), folder=tmp_path, environment={}, seconds=30)


def test_a_command_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="sleep did not end in time"):
        child.run(("sleep", "60"), folder=tmp_path, environment={}, seconds=0)


def test_cancelling_stops_the_command_and_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = "trap : TERM; (trap '' TERM; exec sleep 60) & echo $$ $! > pids.tmp; mv pids.tmp pids; wait"
    with pytest.raises(CancelledError):
        child.run(("sh", "-c", script), folder=tmp_path, environment={}, seconds=30, cancelled=pids.exists)
    # A signal takes its time.
    deadline = time.monotonic() + 10
    while any(alive(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline
