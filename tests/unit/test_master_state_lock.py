from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from minios_master.state_lock import InUseError, Run, StateLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = Run("matrix", 4711, "http://127.0.0.1:1/", "2026-01-02T03:04:05+00:00", "/config", "/out")

HOLDER = """
import sys
from pathlib import Path
from minios_master.state_lock import Run, StateLock
lock = StateLock(Path(sys.argv[1]))
lock.acquire()
lock.announce(Run(*eval(sys.argv[2])))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(state), str(tuple(vars(RUN).values()))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"held\n"
            yield child
        finally:
            child.kill()


def test_second_process_is_told_who_is_there(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    with holder(tmp_path):
        assert lock.holder() == RUN
        with pytest.raises(InUseError) as caught:
            lock.acquire()
        # Whoever was refused leaves what the holder wrote alone.
        lock.forget()
        lock.release()
        assert lock.holder() == RUN
    assert caught.value.what == (
        f"another minios (matrix, pid 4711, since 2026-01-02T03:04:05+00:00) uses {tmp_path}"
    )
    assert "--state" in caught.value.hint


def test_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    with holder(tmp_path) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert (tmp_path / "run.json").exists()
        assert lock.holder() is None
        lock.acquire()
        # What the dead one wrote is gone with its lock.
        assert lock.holder() is None
        lock.release()


def test_inherited_descriptor_keeps_the_lock(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.acquire()
    with subprocess.Popen(["sleep", "60"], pass_fds=(lock.descriptor,)) as child:
        lock.release()
        assert lock.is_held()
        with pytest.raises(InUseError, match="another minios is starting in "):
            lock.acquire()
        child.kill()
        child.wait()
    assert not lock.is_held()


def test_descriptor_is_not_inherited_by_accident(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.acquire()
    assert not os.get_inheritable(lock.descriptor)
    lock.release()


def test_somebody_who_only_looks_is_not_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looker = StateLock(tmp_path)
    looker.acquire()
    # The look is over by the time the lock is tried again.
    monkeypatch.setattr("minios_master.state_lock.time.sleep", lambda _seconds: looker.release())
    lock = StateLock(tmp_path)
    lock.acquire()
    assert lock.is_held()
    lock.release()


def test_new_folder_is_made(tmp_path: Path) -> None:
    lock = StateLock(tmp_path / "a" / "b")
    assert lock.holder() is None
    lock.acquire()
    lock.announce(RUN)
    assert StateLock(tmp_path / "a" / "b").holder() == RUN
    lock.forget()
    assert lock.holder() is None
    lock.release()
    lock.release()
    assert not lock.is_held()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kind": "up"}', "\xff"])
def test_damaged_note_is_nobody(text: str, tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.acquire()
    (tmp_path / "run.json").write_text(text, "latin-1")
    assert lock.holder() is None
    lock.release()
