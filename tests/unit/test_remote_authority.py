from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from typing import TYPE_CHECKING

import pytest
from minios_master.remote.authority import SERVER_NAME, load_authority

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc)


def test_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    one, two = load_authority(folder), load_authority(folder)
    assert one == two
    assert one.fingerprint == hashlib.sha256(ssl.PEM_cert_to_DER_cert(one.pem)).hexdigest()
    assert "PRIVATE" not in one.pem
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def shakes_hands(gate: Path, authority: str, name: str = SERVER_NAME) -> str:
    """Empty when a client that trusts the authority accepts the gate; else the error."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(gate)
    client = ssl.create_default_context(cadata=authority)
    pipes = [ssl.MemoryBIO() for _ in range(2)]
    ends = [
        client.wrap_bio(pipes[0], pipes[1], server_hostname=name),
        server.wrap_bio(pipes[1], pipes[0], server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return str(error)
    return ""


def test_gate_is_accepted_by_the_name_and_authority_alone(tmp_path: Path) -> None:
    ours, theirs = load_authority(tmp_path / "a"), load_authority(tmp_path / "b")
    assert shakes_hands(ours.gate, ours.pem) == ""
    assert "certificate verify failed" in shakes_hands(ours.gate, theirs.pem)
    assert "certificate verify failed" in shakes_hands(ours.gate, ours.pem, "elsewhere")


def test_gate_is_renewed_in_time_and_the_authority_stays(tmp_path: Path) -> None:
    first = load_authority(tmp_path, NOW)
    gate = first.gate.read_bytes()
    load_authority(tmp_path, NOW + dt.timedelta(days=700))
    assert first.gate.read_bytes() == gate
    later = load_authority(tmp_path, NOW + dt.timedelta(days=800))
    assert first.gate.read_bytes() != gate
    assert later.fingerprint == first.fingerprint


def test_damaged_keys(tmp_path: Path) -> None:
    load_authority(tmp_path)
    (tmp_path / "ca.pem").write_text("nonsense", "utf-8")
    with pytest.raises(MiniosError, match="are damaged") as error:
        load_authority(tmp_path)
    assert "invited again" in error.value.hint
