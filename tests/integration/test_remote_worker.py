"""A worker of the real bundle comes in by invite, over TLS, builds, and is sent away."""

from __future__ import annotations

import json
import shutil
import socket
from typing import TYPE_CHECKING, Any

import pytest
from workerbed import Machine, invite, make_bundle, wait_connected, wait_for, workers

from minios_steps.core.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY = 40_000_000
"""Bytes of memory that a worker process may have."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A folder as a machine, with both bundles on it."""
    folder = tmp_path / "vendor"
    folder.mkdir()
    make_bundle("3.7", folder / "old.run")
    make_bundle("3.8", folder / "new.run")
    made = Machine(folder)
    yield made
    if made.dir.exists():
        made.tool("uninstall")


@pytest.fixture
def master(config_copy: Any, minios: Any) -> Any:
    """A master that stays, without workers of its own."""
    config: Path = config_copy(tiny=True, arches={"x86_64": "required"})
    (config / "workers.yaml").write_text("local: {arches: []}\n", "utf-8")
    cli = minios(config)
    up = cli.run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    return cli


def test_invite_attach_leave(master: Any, machine: Machine) -> None:
    # A name instead of an address: Twisted would load 7 MB to encode it.
    token = invite(master, "x86_64", "--jobs", "2", "--host", "localhost")
    done = machine.attach("old.run", token)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", and connected to the master; its log is " in done.stdout
    wait_connected(master, "x86_64-1")
    # Nothing compiled is in the bundle, so nothing compiled is loaded from it.
    assert machine.loaded() == set()
    assert machine.resident() < MEMORY

    again = Machine(machine.folder / "two")
    again.folder.mkdir()
    shutil.copy(machine.folder / "old.run", again.folder)
    refused = again.attach("old.run", token)
    assert refused.returncode != 0
    assert "the invite was used already" in refused.stderr
    assert not again.dir.exists()
    # The machine that used it may, and is told so.
    same = machine.attach("old.run", token)
    assert same.returncode == 0, same.stdout + same.stderr
    assert "this invite was used here before: the worker that it made stays" in same.stdout
    wait_connected(master, "x86_64-1")

    assert master.run("worker", "pause", "x86_64-1", "--reason", "dusty").returncode == 0
    wait_for(lambda: workers(master)["x86_64-1"]["pause_reason"] == "dusty", "paused")
    assert master.run("worker", "resume", "x86_64-1").returncode == 0
    wait_for(lambda: not workers(master)["x86_64-1"]["paused"], "resumed")

    assert master.run("worker", "revoke", "x86_64-1").returncode == 0
    wait_for(lambda: machine.tool("status").returncode == 3, "the worker has stopped")
    assert "this worker was revoked" in machine.tool("status").stdout
    start = machine.tool("start")
    assert start.returncode == 4
    assert "it has stopped: the master refuses: this worker was revoked" in start.stdout
    gone = machine.tool("uninstall")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert sorted(path.name for path in machine.folder.iterdir()) == ["new.run", "old.run", "two"]
    log = (master.state / "master" / "twistd.log").read_text("utf-8")
    assert "gate: refused 127.0.0.1: the invite was used already" in log
    assert "Traceback" not in log


def test_stop_start_and_a_master_that_is_another(master: Any, machine: Machine) -> None:
    token = invite(master, "x86_64", "--host", "localhost")
    assert machine.attach("new.run", token).returncode == 0
    wait_connected(master, "x86_64-1")
    assert machine.loaded() == set()
    assert machine.resident() < MEMORY
    assert machine.tool("stop").returncode == 0
    assert machine.tool("status").returncode == 3
    wait_for(lambda: not workers(master)["x86_64-1"]["connected"], "gone")

    # The master is restarted; the worker needs no new invite.
    assert master.run("down").returncode == 0
    assert master.run("up").returncode == 0
    assert ", and connected to the master" in machine.tool("start").stdout
    wait_connected(master, "x86_64-1")
    # Killed, it is started again.
    killed = machine.process
    assert machine.shell(f"kill -9 {killed}").returncode == 0
    wait_for(lambda: _process(machine) not in (0, killed), "another process")
    wait_connected(master, "x86_64-1")

    # Somebody else answers at the master's address.
    assert master.run("down").returncode == 0
    shutil.rmtree(master.state / "remote" / "keys")
    assert master.run("up").returncode == 0
    wait_for(lambda: machine.tool("status").returncode == 3, "the worker has stopped", 90)
    assert "is not the master of the invite" in machine.tool("status").stdout
    fresh = Machine(machine.folder / "fresh")
    fresh.folder.mkdir()
    shutil.copy(machine.folder / "old.run", fresh.folder)
    refused = fresh.attach("old.run", token)
    assert refused.returncode != 0
    assert "is not the master of the invite" in refused.stderr
    assert not fresh.dir.exists()


def _process(machine: Machine) -> int:
    try:
        return machine.process
    except (OSError, IndexError):
        return 0


def test_bundle_that_was_damaged_or_is_not_at_home(machine: Machine) -> None:
    whole = (machine.folder / "old.run").read_bytes()
    (machine.folder / "cut.run").write_bytes(whole[:-1000])
    flipped = bytearray(whole)
    flipped[-2000] ^= 1
    (machine.folder / "flipped.run").write_bytes(bytes(flipped))
    for name in ("cut.run", "flipped.run"):
        done = machine.attach(name, "minios1.x.y")
        assert done.returncode == 1
        assert "this file is damaged" in done.stderr
    assert not machine.dir.exists()

    assert "can build" in machine.shell("sh old.run --check").stdout
    assert "not an invite" in machine.attach("old.run", "hello").stderr
    full = machine.shell("mkdir full && touch full/file && sh old.run --invite x --dir full")
    assert "not a worker's folder" in full.stderr
    assert sorted(path.name for path in (machine.folder / "full").iterdir()) == ["file"]
    missing = machine.shell("PATH=/nowhere; PYTHON=/usr/bin/python3 /bin/sh old.run --check")
    assert missing.returncode != 0
    usage = machine.shell("sh old.run")
    assert usage.returncode == 2
    assert "--invite TOKEN" in usage.stderr


def test_same_lock_same_bundle(tmp_path: Path) -> None:
    made = [tmp_path / name / "worker.run" for name in ("a", "b")]
    for path in made:
        path.parent.mkdir()
        make_bundle("3.8", path)
    assert Digest.of_file(made[0]) == Digest.of_file(made[1])


def test_gate_is_shy_and_a_new_arch_needs_no_restart(master: Any) -> None:
    """Whoever says nothing, or nonsense, is gone soon; the master goes on."""
    ports = json.loads((master.state / "remote" / "ports.json").read_text("utf-8"))
    with socket.create_connection(("127.0.0.1", ports["plain"]), 10) as stranger:
        stranger.sendall(b"x" * 5000)
        assert b"that is no request" in stranger.makefile("rb").readline()
    with socket.create_connection(("127.0.0.1", ports["tls"]), 10) as stranger:
        stranger.sendall(b'{"do": "authority"}\n')
        stranger.settimeout(10)
        # Without TLS there is no answer in plain words.
        assert b"BEGIN CERTIFICATE" not in stranger.recv(4096)
    assert master.run("status").returncode == 0

    invite(master, "newcpu")
    arches = master.config / "arches"
    text = (arches / "x86_64.yaml").read_text("utf-8")
    for old, new in (
        ("name: x86_64", "name: newcpu"),
        ("amd64", "newcpu"),
        ("uname: [x86_64]", "uname: [newcpu]"),
    ):
        assert old in text
        text = text.replace(old, new)
    (arches / "newcpu.yaml").write_text(text, "utf-8")
    before = json.loads(master.run("status", "--json").stdout)
    assert "newcpu-unattached" not in before["workers"]
    assert master.run("worker", "reload").returncode == 0

    def is_there() -> bool:
        return "newcpu-unattached" in json.loads(master.run("status", "--json").stdout)["workers"]

    wait_for(is_there, "the new arch has a place for a worker")
    assert json.loads(master.run("status", "--json").stdout)["pid"] == before["pid"]
    told = json.loads(master.run("matrix", "--arch", "newcpu", "--json").stdout)
    assert [cell["outcome"] for cell in told["cells"]] == ["no-worker"]
