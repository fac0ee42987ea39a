from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from minios_master.remote import folders
from minios_master.remote.folders import Ports, RemoteFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteFolder:
    """Its free ports are 9001, 9002 and so on."""
    ports = iter(range(9001, 9100))
    monkeypatch.setattr(folders, "free_port", lambda _interface: next(ports))
    return RemoteFolder(tmp_path)


def test_ports_are_chosen_once(folder: RemoteFolder) -> None:
    assert folder.ports("127.0.0.1", 0) == Ports(9001, 9002)
    assert folder.ports("127.0.0.1", 0) == Ports(9001, 9002)
    assert folder.ports("127.0.0.1", 9990) == Ports(9990, 9002)
    assert folder.ports("127.0.0.1", 0) == Ports(9990, 9002)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"tls": 1}', '{"tls": 0, "plain": 1}', '{"tls": 1, "plain": "x"}']
)
def test_damaged_ports_are_chosen_anew(folder: RemoteFolder, text: str) -> None:
    (folder.path / "ports.json").write_text(text, "utf-8")
    assert folder.ports("127.0.0.1", 9990) == Ports(9990, 9001)
    assert json.loads((folder.path / "ports.json").read_text("utf-8")) == {"tls": 9990, "plain": 9001}
    # Somebody may still read in it where the workers come to.
    assert (folder.path / "ports.json.damaged").read_text("utf-8") == text


def test_a_key_that_was_cut_off_is_made_anew(folder: RemoteFolder) -> None:
    key = folder.inner_key()
    assert len(key) == 32
    assert folder.inner_key() == key
    (folder.path / "inner.key").write_bytes(key[:5])
    assert len(folder.inner_key()) == 32
