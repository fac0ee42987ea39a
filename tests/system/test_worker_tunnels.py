"""A Python that was built without TLS comes in through a real `ssh`, and through a real `stunnel`."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from workerbed import Machine, invite, make_bundle, wait_connected, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SSHD = "/usr/sbin/sshd"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def master(config_copy: Any, minios: Any) -> Any:
    cli = minios(config_copy(tiny=True, arches={"x86_64": "required"}))
    assert cli.run("up").returncode == 0
    return cli


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine whose Python has no `ssl`, with what stands in `bin` first on its PATH."""
    folder = tmp_path / "vendor"
    folder.mkdir()
    (folder / "without").mkdir()
    (folder / "without" / "ssl.py").write_text("raise ImportError('not built')\n", "utf-8")
    line = f'PYTHONPATH={folder}/without:${{PYTHONPATH:-}} exec {sys.executable} "$@"'
    python = script(folder / "bin" / "python", line)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    make_bundle("3.7", folder / "worker.run")
    made = Machine(folder, python=str(python))
    yield made
    if made.dir.exists():
        made.tool("uninstall")


@pytest.fixture
def ssh_server(machine: Machine, tmp_path: Path, need: Callable[..., None]) -> Iterator[int]:
    """A real sshd on loopback that the machine's `ssh` may log in to by key; gives its port."""
    need(SSHD, "ssh", "ssh-keygen", root=True)
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(words, check=True)
    port = free_port()
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nStrictModes no\nPasswordAuthentication no\n",
        "utf-8",
    )
    host = (tmp_path / "host.pub").read_text("utf-8")
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}", "utf-8")
    (tmp_path / "ssh_config").write_text(
        f"IdentityFile {tmp_path}/user\nIdentitiesOnly yes\nUserKnownHostsFile {tmp_path}/known_hosts\n",
        "utf-8",
    )
    script(machine.folder / "bin" / "ssh", f'exec {shutil.which("ssh")} -F {tmp_path}/ssh_config "$@"')
    # It separates privileges in a folder that Debian makes when it boots.
    folder = Path("/run/sshd")
    made = not folder.is_dir()
    folder.mkdir(exist_ok=True)
    server = subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=subprocess.DEVNULL
    )
    yield port
    server.terminate()
    server.wait(10)
    if made:
        folder.rmdir()


def tunnels(machine: Machine) -> list[int]:
    """The processes that the worker has started."""
    try:
        worker = machine.process
        children = Path(f"/proc/{worker}/task/{worker}/children").read_text("utf-8")
    except (OSError, IndexError):
        return []
    return [int(pid) for pid in children.split()]


def test_ssh_then_stunnel(master: Any, machine: Machine, ssh_server: int, need: Callable[..., None]) -> None:
    need("stunnel")
    token = invite(master, "x86_64")
    without = machine.attach("worker.run", token)
    assert without.returncode != 0
    assert "has no ssl module: add --tunnel" in without.stderr

    user = pwd.getpwuid(os.getuid()).pw_name
    done = machine.attach("worker.run", token, "--tunnel", f"ssh:{user}@127.0.0.1:{ssh_server}")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_connected(master, "x86_64-1")
    # The tunnel is killed: it is opened again.
    wait_for(lambda: len(tunnels(machine)) == 1, "one tunnel")
    [tunnel] = tunnels(machine)
    os.kill(tunnel, 9)
    wait_for(lambda: tunnels(machine) not in ([], [tunnel]), "another tunnel")
    wait_connected(master, "x86_64-1")
    assert machine.tool("uninstall").returncode == 0

    done = machine.attach("worker.run", invite(master, "x86_64"), "--tunnel", "stunnel")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_connected(master, "x86_64-2")
    # It is stunnel that checks who is there, with the authority that fits the invite.
    assert "verifyChain = yes" in (machine.dir / "stunnel.conf").read_text("utf-8")
    assert machine.tool("stop").returncode == 0

    assert master.run("down").returncode == 0
    shutil.rmtree(master.state / "remote" / "keys")
    assert master.run("up").returncode == 0
    assert machine.tool("start").returncode == 0
    log = machine.dir / "tunnel.log"
    wait_for(lambda: "certificate verify failed" in log.read_text("utf-8"), "stunnel refuses the other one")
