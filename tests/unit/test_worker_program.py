"""The program that runs on a vendor's machine; the standard library is all it may use."""

from __future__ import annotations

import ast
import os
import pwd
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from configbed import ROOT
from gatebed import Master
from minios_master.remote.authority import Authority, load_authority
from minios_worker import machine, service, wire
from minios_worker.home import Attachment, Home
from minios_worker.problem import WorkerError
from minios_worker.tunnel import Tunnel

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

MADE = Attachment("build.example.org", 9990, 40000, "ab" * 32, "s390x-1", "p" * 43, "")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "worker")
    made.folder.mkdir()
    return made


def test_parses_as_the_oldest_python() -> None:
    files = [path for folder in ("agent", "standins") for path in (ROOT / "workers" / folder).rglob("*.py")]
    assert files
    for path in files:
        ast.parse(path.read_bytes(), str(path), feature_version=(3, 7))


def test_what_is_kept_is_private_and_read_back(home: Home) -> None:
    assert home.attachment() is None
    home.keep(MADE)
    home.keep(MADE)
    assert home.attachment() == MADE
    assert (home.folder / "worker.json").stat().st_mode & 0o777 == 0o600
    (home.folder / "worker.json").write_text("{}", "utf-8")
    with pytest.raises(WorkerError, match="is damaged"):
        home.attachment()


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[Authority, Authority]:
    return load_authority(tmp_path / "ours"), load_authority(tmp_path / "theirs")


def ask(master: Master, context: ssl.SSLContext | None) -> dict[str, Any]:
    try:
        return wire.ask(master.address, {"do": "x"}, context)
    finally:
        master.thread.join(10)


def test_only_the_pinned_authority_is_believed(
    authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    ours, theirs = authorities
    pem = tmp_path / "ca.pem"
    pem.write_text(ours.pem, "ascii")
    assert ask(Master(b'{"ok": true, "x": 1}\n', ours), wire.pinned(pem))["x"] == 1
    with pytest.raises(WorkerError, match="is not the master of the invite") as error:
        ask(Master(b'{"ok": true}\n', theirs), wire.pinned(pem))
    assert error.value.final
    wire.check_authority(ours.pem, ours.fingerprint)
    for pem_text in (theirs.pem, "", "hello", "-----BEGIN CERTIFICATE-----\n!\n"):
        with pytest.raises(WorkerError):
            wire.check_authority(pem_text, ours.fingerprint)


@pytest.mark.parametrize(
    ("answer", "told", "final"),
    [
        (b"", "hung up", False),
        (b"{}\n", "is not a minios master", False),
        (b"[1]\n", "is not a minios master", False),
        (b"\xff\n", "is not a minios master", False),
        (b'{"ok": false, "why": "used", "final": true}\n', "refuses: used", True),
        (b'{"ok": false, "why": "later", "final": "yes"}\n', "refuses: later", False),
        (b'{"ok": "true"}\n', "refuses", False),
    ],
)
def test_answers(answer: bytes, told: str, *, final: bool) -> None:
    with pytest.raises(WorkerError, match=told) as error:
        ask(Master(answer, None), None)
    assert error.value.final is final


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    with pytest.raises(WorkerError, match="does not answer") as error:
        wire.ask(address, {}, None)
    assert not error.value.final


def test_machine_without_tools_or_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "agent" / "minios_worker" / "machine.py"
    place.parent.mkdir(parents=True)
    (tmp_path / "agent" / "machines").write_text("", "utf-8")
    monkeypatch.setattr(machine, "__file__", str(place))
    machine.check(tmp_path / "not" / "there")
    (tmp_path / "agent" / "machines").write_text("vax pdp11", "utf-8")
    with pytest.raises(WorkerError, match="the bundle is for vax, pdp11"):
        machine.check(tmp_path)
    (tmp_path / "agent" / "machines").write_text("", "utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "DISK", 1 << 60)
    with pytest.raises(WorkerError, match=r"missing: sh, gcc, make, tar, gzip, bzip2; only .* MB free"):
        machine.check(tmp_path)


def programs(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> Path:
    """A PATH with some shell scripts on it."""
    for name, text in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_tunnel_commands(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, monkeypatch, ssh="exit 0", stunnel="exit 0")
    ssh = Tunnel(home, MADE._replace(tunnel="ssh:builder@build.example.org:2222"))
    words = ssh._command()
    assert words[-5:] == [
        *("-p", "2222", "-L", f"127.0.0.1:{ssh.address[1]}:127.0.0.1:40000", "builder@build.example.org")
    ]
    assert "BatchMode=yes" in words
    assert not ssh.checks
    stunnel = Tunnel(home, MADE._replace(tunnel="stunnel"))
    stunnel._command()
    text = (home.folder / "stunnel.conf").read_text("utf-8")
    assert f"CAfile = {home.authority}\nverifyChain = yes\ncheckHost = minios-master\n" in text
    assert "connect = build.example.org:9990\n" in text


@pytest.mark.parametrize("tunnel", ["carrier-pigeon", "ssh:", "ssh:-oProxyCommand=reboot", "ssh:a b"])
def test_no_tunnel(tunnel: str, home: Home) -> None:
    with pytest.raises(WorkerError, match="should be ssh:"):
        Tunnel(home, MADE._replace(tunnel=tunnel))


def test_tunnel_that_ends(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, monkeypatch, ssh="echo refused >&2; exit 255")
    tunnel = Tunnel(home, MADE._replace(tunnel="ssh:build.example.org"))
    with pytest.raises(WorkerError, match="does not open") as error:
        tunnel.open()
    assert not error.value.final
    assert (home.folder / "tunnel.log").read_text("utf-8") == "refused\n"


@pytest.mark.parametrize("kind", service.KINDS)
def test_service(kind: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, mode = service._PLACES[kind]
    (tmp_path / "etc").mkdir()
    there = f"{tmp_path}/etc/{{}}"
    monkeypatch.setattr(service, "_PLACES", {kind: (there, mode)})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs(tmp_path, monkeypatch, systemctl=f"echo $* >>{tmp_path}/ran", update_rc_d="", service="")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (home.folder / "units").symlink_to(ROOT / "workers" / "units")
    with pytest.raises(WorkerError, match="never attached"):
        service.install(home, kind)
    home.keep(MADE)
    told = service.install(home, kind)
    path = tmp_path / "etc" / "minios-worker-s390x-1"
    assert f"wrote {path}\n" in told
    assert path.stat().st_mode & 0o777 == mode
    text = path.read_text("utf-8")
    assert f"{home.folder}/minios-worker" in text
    assert pwd.getpwuid(os.getuid()).pw_name in text
    assert "@" not in text.replace("$@", "")
    assert service.remove(home).endswith(f"removed {path}\n")
    assert not path.exists()
    assert service.remove(home) == ""
    if kind == "systemd":
        ran = (tmp_path / "ran").read_text("utf-8").splitlines()
        name = "minios-worker-s390x-1.service"
        assert ran == [*("daemon-reload", f"enable --now {name}", f"disable --now {name}", "daemon-reload")]


def test_service_needs_root_and_its_init(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.keep(MADE)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(WorkerError, match="only root can write /etc/systemd/system"):
        service.install(home, "systemd")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(service, "_PLACES", {"systemd": ("/no/such/{}.service", 0o644)})
    with pytest.raises(WorkerError, match="is not here"):
        service.install(home, "systemd")


def test_modules_are_loaded_when_they_are_used() -> None:
    """What Twisted imports of HTTP is there for whoever asks, and costs nothing until then."""
    lines = (
        "import sys",
        "from minios_worker.lazy import POSTPONED, postpone",
        "postpone()",
        "from http import cookiejar as cookielib",
        "from asyncio import iscoroutine",
        "import asyncio, pdb, tarfile",
        "assert not iscoroutine(7)",
        "assert not {'urllib.request', 'email', 'bdb', 'asyncio.events'} & set(sys.modules)",
        "assert asyncio.Event and 'asyncio.events' in sys.modules",
        "assert cookielib.CookieJar() is not None and 'urllib.request' in sys.modules",
        "assert tarfile.TarFile and sys.modules['tarfile'].TarFile is tarfile.TarFile",
        "assert type(sys.modules['tarfile']) is type(sys)",
        "assert type(sys.modules['pdb']) is not type(sys)",
        "assert not hasattr(sys.modules['pdb'], '__file__')",
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", "\n".join(lines)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workers" / "agent")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
