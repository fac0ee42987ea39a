"""An invite is exchanged, refused or used again, and what that leaves on the vendor's machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from configbed import ROOT
from gatebed import Master
from minios_master.bundle.lock import read_lock
from minios_master.bundle.pack import write_bundle
from minios_master.remote.authority import Authority, load_authority
from minios_worker.attach import attach
from minios_worker.home import Attachment, Home
from minios_worker.invite import Invite
from minios_worker.problem import WorkerError

from minios_steps.core.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

YES = b'{"ok": true}\n'
NO = b'{"ok": false, "why": "the invite was used already", "final": true}\n'
STUB = """#!/bin/sh
home={home}
case "$*" in
    *" run "*) {run} ;;
    *" why "*) cat "$home/why-it-stopped" ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "worker")
    made.folder.mkdir()
    return made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return load_authority(tmp_path / "keys")


def master(authority: Authority, answer: bytes) -> Master:
    """One that tells its authority, and then answers."""
    told = json.dumps({"ok": True, "authority": authority.pem}).encode() + b"\n"
    return Master(told, authority, answer)


def invited(master: Master, authority: Authority, name: str = "s390x-1", secret: str = "s" * 43) -> Invite:
    return Invite(*master.address, 9, authority.fingerprint, name, secret)


def test_the_same_invite_again_is_told_apart(home: Home, authority: Authority) -> None:
    found = []
    for secret in ("s" * 43, "s" * 43, "t" * 43):
        there = master(authority, YES)
        found.append(attach(home, invited(there, authority, secret=secret), ""))
        there.requests()
    assert found == [False, True, False]
    assert home.tac.exists()


def test_an_answer_that_was_lost(home: Home, authority: Authority) -> None:
    passwords = []
    for answer, good in ((b"", False), (YES, True)):
        there = master(authority, answer)
        if good:
            assert not attach(home, invited(there, authority), "")
        else:
            with pytest.raises(WorkerError, match="hung up"):
                attach(home, invited(there, authority), "")
            # Until the master has said yes there is no worker.
            assert home.attachment() is None
        passwords.append(there.requests()[1]["password"])
    known = home.attachment()
    assert known is not None
    assert {known.password} == set(passwords)


@pytest.mark.parametrize("answer", [NO, b""])
def test_a_worker_that_is_there_outlives_a_refused_invite(
    home: Home, authority: Authority, tmp_path: Path, answer: bytes
) -> None:
    there = master(authority, YES)
    attach(home, invited(there, authority), "")
    there.requests()
    before = (home.attachment(), home.authority.read_bytes(), home.tac.read_bytes())
    other = load_authority(tmp_path / "others")
    there = master(other, answer)
    with pytest.raises(WorkerError):
        attach(home, invited(there, other, "vax-1"), "")
    there.requests()
    assert (home.attachment(), home.authority.read_bytes(), home.tac.read_bytes()) == before
    assert (home.expected() is None) == (answer == NO)


def test_a_worker_that_cannot_write_connects_all_the_same(tmp_path: Path) -> None:
    gone = Home(tmp_path / "gone")
    for connected in (True, False):
        gone.tell_connected(connected=connected)
    assert not gone.folder.exists()


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle without packages: the attach program needs none. The machine has all that a build runs."""
    wheel = tmp_path / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("made/__init__.py", b"")
    lock = tmp_path / "python3.7.lock"
    lock.write_text(
        f"# python: 3.7 below 4.0\nmade==1.0 --hash=sha256:{Digest.of_file(wheel).hex}\n", "utf-8"
    )
    path = tmp_path / "worker.run"
    write_bundle(read_lock(lock), {"made": wheel}, ROOT / "workers", path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("gcc", "make", "bzip2"):
        (tools / name).write_text("#!/bin/sh\n", "utf-8")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{tools}")
    monkeypatch.setenv("PYTHON", sys.executable)
    return path


def shell(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_refused_invite_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    for there in (False, True):
        if there:
            folder.mkdir()
        done = shell(bundle, "--invite", "hello", "--dir", folder)
        assert done.returncode == 4
        assert "this is not an invite" in done.stderr
        assert folder.is_dir() == there
    assert list(folder.iterdir()) == []
    # After a try without an answer it is kept until the master has refused.
    home = Home(folder)
    (folder / ".minios-worker").touch()
    home.expect(Attachment("localhost", 1, 2, "ab" * 32, "s390x-1", "p" * 43, ""))
    assert shell(bundle, "--invite", "hello", "--dir", folder).returncode == 4
    assert home.expected() is not None
    home.forget_expected()
    assert shell(bundle, "--invite", "hello", "--dir", folder).returncode == 4
    assert not folder.exists()


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Home]:
    """A worker's folder; a script stands for Python and the worker in it."""
    made = Home(tmp_path / "worker")
    made.folder.mkdir()
    shutil.copy(ROOT / "workers" / "minios-worker.sh", made.folder / "minios-worker")
    (made.folder / ".minios-worker").touch()
    (made.folder / "python").write_text(f"{tmp_path}/python\n", "utf-8")
    yield made
    shell(made.folder / "minios-worker", "stop")


def stand_in(home: Home, run: str) -> None:
    """What the worker does when it runs."""
    path = home.folder.parent / "python"
    path.write_text(STUB.format(home=home.folder, run=run), "utf-8")
    path.chmod(0o755)


def test_start_tells_that_the_master_refuses(installed: Home) -> None:
    stand_in(installed, 'echo "the master refuses: this worker was revoked" >"$home/why-it-stopped"; exit 4')
    done = shell(installed.folder / "minios-worker", "start")
    assert done.returncode == 4
    assert done.stdout == "minios-worker: it has stopped: the master refuses: this worker was revoked\n"
    assert shell(installed.folder / "minios-worker", "status").returncode == 3


def test_start_tells_that_the_master_has_let_it_in(installed: Home) -> None:
    installed.tell_why("something else, the last time")
    stand_in(installed, 'touch "$home/connected"; exec sleep 600')
    done = shell(installed.folder / "minios-worker", "start")
    assert done.returncode == 0
    assert ", and connected to the master; its log is " in done.stdout
    assert shell(installed.folder / "minios-worker", "status").stdout.endswith(", connected to the master\n")
    installed.tell_connected(connected=False)
    told = shell(installed.folder / "minios-worker", "status").stdout
    assert told.endswith(", not connected to the master: it goes on trying\n")


def test_a_bundle_for_a_worker_that_stays(bundle: Path, installed: Home) -> None:
    """What was running goes on when an invite is refused."""
    installed.keep(Attachment("localhost", 1, 2, "ab" * 32, "s390x-1", "p" * 43, ""))
    stand_in(installed, 'touch "$home/connected"; exec sleep 600')
    assert shell(installed.folder / "minios-worker", "start").returncode == 0
    done = shell(bundle, "--invite", "hello", "--dir", installed.folder)
    assert done.returncode == 4
    assert f"the worker that is in {installed.folder} stays as it was" in done.stderr
    assert (installed.folder / ".minios-worker").exists()
