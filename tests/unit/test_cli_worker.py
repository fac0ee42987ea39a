from __future__ import annotations

import datetime as dt
import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from minios_master.cli import worker_control, worker_told
from minios_master.cli.main import run
from minios_master.remote.folders import RemoteFolder
from minios_master.state_lock import Run
from minios_worker.invite import parse

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "p" * 43
RUN = Run("up", 1, "http://127.0.0.1:1/", "now", "config", "out")


class Cli:
    """`minios worker`, in this process."""

    def __init__(self, folder: Path, capsys: Any) -> None:
        self.config = write_config(folder / "config")
        self.state = folder / "state"
        self.roster = RemoteFolder(self.state / "remote").roster
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as done:
            run(["--config", str(self.config), "--state", str(self.state), "worker", *words])
        told: tuple[str, str] = self._capsys.readouterr()
        assert (done.value.code or 0) == code, told
        return told

    def attach(self, token: str) -> None:
        made = parse(token)
        now = dt.datetime.now(dt.timezone.utc)
        machine = {"uname": "s390x", "python": "3.7.3", "cores": "8"}
        self.roster.redeem(made.name, made.secret, PASSWORD, machine, now)


@pytest.fixture
def cli(tmp_path: Path, capsys: Any) -> Cli:
    return Cli(tmp_path, capsys)


def test_invite_is_alone_on_stdout(cli: Cli) -> None:
    out, err = cli("invite", "x86_64", "--host", "build.example.org", "--jobs", "3", "--expires", "30m")
    made = parse(out)
    assert out.count("\n") == 1
    assert (made.name, made.host) == ("x86_64-1", "build.example.org")
    assert "good for one exchange until" in err
    assert made.secret not in err
    member = cli.roster.find("x86_64-1")
    left = dt.datetime.fromisoformat(member.expires) - dt.datetime.fromisoformat(member.created)
    assert (member.jobs, left, member.cross_prefix) == (3, dt.timedelta(minutes=30), "")
    # Another one names the same master.
    again = parse(cli("invite", "x86_64")[0])
    assert again[1:4] == made[1:4]
    assert again.name == "x86_64-2"


@pytest.mark.parametrize(
    ("remote", "words", "closed"),
    [
        ("", (), "127.0.0.1"),
        ("", ("--host", "build.example.org"), "127.0.0.1"),
        ("address: build.example.org", (), "127.0.0.1"),
        ("interface: localhost", ("--host", "build.example.org"), "localhost"),
        ("", ("--host", "localhost"), ""),
        ("", ("--host", "127.0.0.1"), ""),
        ("interface: 192.0.2.1", (), ""),
        ("interface: 0.0.0.0", ("--host", "build.example.org"), ""),
    ],
)
def test_an_invite_to_a_gate_that_is_closed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, remote: str, words: tuple[str, ...], closed: str
) -> None:
    monkeypatch.setattr("minios_master.remote.folders.free_port", lambda _interface: 9990)
    (cli.config / "workers.yaml").write_text(f"remote: {{{remote}}}\n", "utf-8")
    out, err = cli("invite", "x86_64", *words)
    assert parse(out)
    assert (f"the gate listens on {closed} only: another machine does not reach it" in err) == bool(closed)
    assert ("remote.interface in workers.yaml opens it" in err) == bool(closed)


def test_invite_for_an_arch_without_a_file(cli: Cli) -> None:
    _, err = cli("invite", "vax", "--name", "old-vax")
    assert "minios arch new vax --from-worker old-vax" in err
    assert cli.roster.find("old-vax").arch == "vax"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("x86_64", "--expires", "soon"), "should be a number with m, h or d"),
        (("x86_64", "--expires", "0h"), "should be a number with m, h or d"),
        (("X86",), "is not an arch's name"),
        (("s390.x", "--name", "s390x-1"), "'s390.x' is not an arch's name"),
        (("matrix",), "'matrix' is a name of the master's own"),
        (("x86_64", "--host", "a b"), "is not a host's name"),
        (("x86_64", "--cross-prefix", "a b-"), "is not a compiler's prefix"),
        (("x86_64", "--cross-prefix", "gcc"), "is not a compiler's prefix"),
        (("x86_64", "--host", "0.0.0.0"), "workers cannot reach 0.0.0.0"),  # noqa: S104
        (("x86_64", "--name", "local-x"), "a name of the master's own"),
    ],
)
def test_invites_that_cannot_be(cli: Cli, words: tuple[str, ...], told: str) -> None:
    out, err = cli("invite", *words, code=2)
    assert told in err
    assert out == ""
    assert cli.roster.members() == ()


def test_list_and_show_tell_no_secret(cli: Cli) -> None:
    assert "no remote workers" in cli("list")[0]
    token = cli("invite", "x86_64")[0]
    cli("invite", "x86_64")
    cli.attach(token)
    out, _ = cli("list", "--json")
    told = json.loads(out)
    assert [(worker["name"], worker["state"]) for worker in told] == [
        ("x86_64-1", "attached"),
        ("x86_64-2", "invited"),
    ]
    assert told[0]["connected"] is None
    assert not {"invite", "password"} & set(told[0])
    text = out + cli("list")[0] + cli("show", "x86_64-1")[0] + cli("show", "x86_64-1", "--json")[0]
    member = cli.roster.find("x86_64-1")
    assert not [secret for secret in (member.invite, member.password, PASSWORD) if secret in text]
    assert "python: 3.7.3" in text
    assert "no remote worker 'x'" in cli("show", "x", code=2)[1]


def test_the_table_explains_itself(cli: Cli) -> None:
    cli.attach(cli("invite", "x86_64")[0])
    cli("invite", "x86_64", "--jobs", "3")
    cli("invite", "x86_64")
    lines = cli("list")[0].splitlines()
    columns = ["name", "arch", "state", "connected", "probe", "make -j", "machine"]
    shown = [re.split(r"  +", line.strip()) for line in lines if "x86_64" in line or "make" in line]
    assert shown == [
        columns,
        ["x86_64-1", "x86_64", "attached", "-", "not probed", "8 (its cores)", "s390x, Python 3.7.3"],
        ["x86_64-2", "x86_64", "invited", "-", "not probed", "3", "-"],
        ["x86_64-3", "x86_64", "invited", "-", "not probed", "its cores", "-"],
    ]
    assert lines[-1] == "no master runs here, so nobody is connected; start it with: minios up"
    assert "jobs: 8 (its cores)" in cli("show", "x86_64-1")[0]


def test_a_damaged_file_is_told(cli: Cli) -> None:
    for _ in range(2):
        cli("invite", "x86_64")
    path = cli.roster.folder / "x86_64-1.json"
    path.write_text("{", "utf-8")
    for words in (("list",), ("list", "--json")):
        out, err = cli(*words)
        assert f"{path} is damaged: " in err
        assert "x86_64-2" in out
        assert "x86_64-1" not in out
    assert "is damaged" in cli("revoke", "x86_64-1", code=2)[1]


class Api:
    """A master that knows one worker, and notes what it is told."""

    told: tuple[Any, ...] = ()

    def __init__(self, _url: str) -> None:
        pass

    def get(self, _path: str) -> dict[str, Any]:
        found = {
            "name": "x86_64-1",
            "workerid": 7,
            "connected_to": [{}],
            "paused": True,
            "pause_reason": "dust",
            "configured_on": [{"builderid": 3, "masterid": 1}],
        }
        return {"workers": [found]}

    def builder_names(self) -> dict[int, str]:
        return {3: "probe-x86_64-1", 4: "x86_64"}

    def control(self, *words: Any, **params: Any) -> None:
        Api.told = (*words, params)


def test_pause_and_resume(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        cli("invite", "x86_64")
    assert "no master runs here" in cli("pause", "x86_64-1", code=2)[1]
    for module in (worker_control, worker_told):
        monkeypatch.setattr(module, "MasterApi", Api)
        monkeypatch.setattr(module.StateLock, "holder", lambda _self: RUN)
    assert cli("pause", "x86_64-1", "--reason", "dust")[0] == "x86_64-1 is paused\n"
    assert Api.told == ("workers/7", "pause", {"reason": "dust"})
    assert cli("resume", "x86_64-1")[0] == "x86_64-1 gets builds again\n"
    assert Api.told == ("workers/7", "unpause", {})
    assert "has not attached yet: there is nothing to resume" in cli("resume", "x86_64-2", code=2)[1]
    assert "invited, paused: dust" in " ".join(cli("list")[0].split())
    assert "pause_reason: dust" in cli("show", "x86_64-1")[0]


@pytest.mark.parametrize("what", ["pause", "resume"])
def test_a_revoked_worker_is_told_to_be(cli: Cli, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Buildbot still knows a worker of this name, and would take the order."""
    monkeypatch.setattr("minios_master.reload.os.kill", lambda *_told: None)
    monkeypatch.setattr(worker_control, "MasterApi", Api)
    cli.attach(cli("invite", "x86_64")[0])
    monkeypatch.setattr(worker_control.StateLock, "holder", lambda _self: RUN)
    cli("revoke", "x86_64-1")
    Api.told = ()
    _, err = cli(what, "x86_64-1", code=2)
    assert f"worker 'x86_64-1' was revoked: there is nothing to {what}" in err
    assert "minios worker invite x86_64 --name x86_64-1" in err
    assert Api.told == ()


def test_revoke_tells_the_running_master(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr("minios_master.reload.os.kill", lambda *told: sent.append(told))
    cli.attach(cli("invite", "x86_64")[0])
    monkeypatch.setattr(worker_control.StateLock, "holder", lambda _self: RUN)
    assert "is revoked" in cli("revoke", "x86_64-1")[0]
    assert sent == [(1, signal.SIGHUP)]
    assert not cli.roster.find("x86_64-1").may_work
    assert "no remote worker" in cli("revoke", "nobody", code=2)[1]


def test_reload_checks_first(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr("minios_master.reload.os.kill", lambda *told: sent.append(told))
    assert "no master runs here" in cli("reload", code=2)[1]
    monkeypatch.setattr(worker_control.StateLock, "holder", lambda _self: RUN)
    cli("reload")
    assert sent == [(1, signal.SIGHUP)]
    (cli.config / "minios.yaml").write_text("colour: blue\n", "utf-8")
    assert "is required" in cli("reload", code=2)[1]
    assert len(sent) == 1
