from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from embeddedbed import masters, nothing_is_left, pid_of
from masterbed import wait_for
from minios_master import embedded
from minios_master.api import MasterApi
from minios_master.state_lock import InUseError, StateLock

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from minios_master.embedded import EmbeddedMaster


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., EmbeddedMaster]]:
    with masters(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("kind", ["matrix", "up"])
def test_started_used_and_stopped(kind: str, make: Callable[..., EmbeddedMaster], tmp_path: Path) -> None:
    master = make(out=tmp_path / "out")
    api = master.start(kind)
    assert api.is_ready()
    pid = pid_of(master)
    found = StateLock(master.settings.state).holder()
    assert found is not None
    assert (found.kind, found.pid) == (kind, pid if kind == "up" else os.getpid())
    assert (found.url, found.out) == (master.url, str(tmp_path / "out"))
    assert found.config == str(tmp_path / "config")
    master.stop()
    assert nothing_is_left(master, pid)
    master.stop()


def test_masters_folder_links_to_the_ready_one(make: Callable[..., EmbeddedMaster]) -> None:
    master = make()
    basedir = master.settings.basedir
    basedir.mkdir(parents=True)
    (basedir / "master.cfg").write_text("an old copy")
    (basedir / "twistd.pid").write_text("1")
    master.start("matrix")
    # Twisted would believe that process 1 is this master.
    assert not (basedir / "twistd.pid").exists()
    for name in ("master.cfg", "buildbot.tac"):
        assert (basedir / name).resolve().parent.name == "master"


def test_database_is_made_once_for_each_buildbot(
    make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrades = make().settings.basedir / "upgrades"
    for release in ("4.3.0", "4.3.0", "4.4.0"):
        monkeypatch.setattr("minios_master.embedded.metadata.version", lambda _name, told=release: told)
        master = make()
        master.start("matrix")
        master.stop()
    assert upgrades.read_text() == "once\n" * 2


def test_database_that_cannot_be_made(
    make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = "import sys; sys.exit('line\\nsqlite3.OperationalError: unable to open database file\\nlast')"
    master = make()
    monkeypatch.setattr(embedded, "_BUILDBOT", failing)
    with pytest.raises(MiniosError) as caught:
        master.start("matrix")
    assert caught.value.what == (
        f"the master's database cannot be made in {master.settings.basedir}: "
        "sqlite3.OperationalError: unable to open database file"
    )
    assert "disk" in caught.value.hint
    assert not StateLock(master.settings.state).is_held()
    # The next start tries again.
    assert not (master.settings.basedir / ".upgraded").exists()


def test_place_of_the_masters_folder_is_taken(make: Callable[..., EmbeddedMaster]) -> None:
    master = make()
    master.settings.state.mkdir()
    master.settings.basedir.touch()
    with pytest.raises(OSError, match="File exists") as caught:
        master.start("matrix")
    assert caught.value.filename == str(master.settings.basedir)
    assert not StateLock(master.settings.state).is_held()


def test_port_in_use(make: Callable[..., EmbeddedMaster]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        master = make(port=port)
        with pytest.raises(MiniosError, match=rf"^port {port} on 127\.0\.0\.1 is in use: "):
            master.start("matrix")
    assert not StateLock(master.settings.state).is_held()
    assert not master.settings.basedir.exists()


def test_asked_for_port_wins_over_the_configured_one(make: Callable[..., EmbeddedMaster]) -> None:
    assert make(port=8010, web_port=8020).url == "http://127.0.0.1:8020/"


def test_second_one_is_refused_and_takes_nothing_away(make: Callable[..., EmbeddedMaster]) -> None:
    first, second = make(), make()
    first.start("up")
    with pytest.raises(InUseError, match=rf"another minios \(up, pid {pid_of(first)}, since "):
        second.start("matrix")
    second.stop()
    found = StateLock(first.settings.state).holder()
    assert found is not None
    assert found.pid == pid_of(first)


def test_master_that_ends_while_it_starts(make: Callable[..., EmbeddedMaster]) -> None:
    master = make("dies")
    with pytest.raises(MiniosError) as caught:
        master.start("matrix")
    assert caught.value.what == "the master did not start: buildbot.SomeError: the reason"
    assert caught.value.hint == f"see {master.log}"
    assert not StateLock(master.settings.state).is_held()


def test_master_that_does_not_get_ready(
    make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "START_SECONDS", 0.1)
    master = make("slow")
    with pytest.raises(MiniosError, match=r"^the master did not answer within 0\.1 s "):
        master.start("up")
    assert not StateLock(master.settings.state).is_held()


@pytest.mark.parametrize("kind", ["matrix", "up"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)])
def test_interrupted_while_it_starts(
    kind: str,
    stop: BaseException,
    make: Callable[..., EmbeddedMaster],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master = make("slow")
    seen: list[int] = []

    def interrupt(_self: MasterApi) -> bool:
        seen.append(pid_of(master))
        raise stop

    monkeypatch.setattr(MasterApi, "is_ready", interrupt)
    with pytest.raises(type(stop)):
        master.start(kind)
    assert nothing_is_left(master, seen[0])


def test_signal_while_the_child_is_born_stops_it(
    make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    master = make()
    born: list[int] = []
    popen = subprocess.Popen

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        child = popen(*args, **kwargs)
        if "start" in args[0]:
            born.append(child.pid)
            os.kill(os.getpid(), signal.SIGINT)
        return child

    monkeypatch.setattr("minios_master.embedded.subprocess.Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        master.start("up")
    assert nothing_is_left(master, born[0])


def test_last_words_are_of_this_start_and_the_telling_line(make: Callable[..., EmbeddedMaster]) -> None:
    master = make()
    master.settings.basedir.mkdir(parents=True)
    assert master._last_words() == "it said nothing"
    old, console = "old.Error: before\n", master.settings.basedir / "console.log"
    master.log.write_text(old)
    master._log_start = len(old)
    assert master._last_words() == "it said nothing"
    console.write_bytes(b"first\nlast \xff\x1b[0m\n\n")
    assert master._last_words() == "last \N{REPLACEMENT CHARACTER}?[0m"
    master.log.write_text(
        f"{old}2026-01-02 [-] error while parsing config file:\n"
        "  builtins.OSError: [Errno 28] No space left on device\n"
        "2026-01-02 [-] BuildMaster startup failed\n" + "x" * 1000
    )
    assert master._last_words() == "OSError: [Errno 28] No space left on device"


def test_make_that_runs_us_does_not_rule_our_makes(
    make: Callable[..., EmbeddedMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-j --jobserver-auth=3,4")
    monkeypatch.setenv("MAKELEVEL", "1")
    master = make()
    master.start("matrix")
    seen = Path(f"/proc/{pid_of(master)}/environ").read_bytes().split(b"\0")
    assert not [line for line in seen if line.startswith(b"MAKE")]
    assert f"MINIOS_WEB_PORT={master.port}".encode() in seen
    assert b"MINIOS_LIFELINE=1" in seen


def test_terminals_interrupt_does_not_reach_the_master(make: Callable[..., EmbeddedMaster]) -> None:
    master = make()
    master.start("matrix")
    assert os.getsid(pid_of(master)) == pid_of(master)
    wait_for(lambda: MasterApi(master.url).is_ready())
