from __future__ import annotations

import socket
from pathlib import Path

import pytest
from minios_master.settings import Settings, free_port

from minios_steps.core.errors import ConfigError, MiniosError


def test_environment_reads_back_the_same() -> None:
    for settings in (
        Settings(Path("/c"), Path("/s")),
        Settings(Path("/c"), Path("/s"), Path("/o"), web_port=8010, lifeline=True),
    ):
        assert Settings.from_environment(settings.environment()) == settings


def test_without_an_environment_the_working_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({}) == Settings(tmp_path / "config", tmp_path / ".state")


def test_everything_kept_is_below_the_state_folder() -> None:
    settings = Settings(Path("/c"), Path("/s"))
    assert {path.parent for path in (settings.basedir, settings.cache, settings.store, settings.work)} == {
        Path("/s")
    }


@pytest.mark.parametrize("text", ["http", "-1", "65536", "8 0", "²"])
def test_wrong_port_in_the_environment(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^MINIOS_WEB_PORT: .* is not a port: 0 to 65535$"):
        Settings.from_environment({"MINIOS_WEB_PORT": text})


def test_any_free_port() -> None:
    port = free_port("127.0.0.1")
    assert free_port("127.0.0.1", port) == port


def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MiniosError, match=f"^port {port} on 127.0.0.1 is in use: ") as caught:
            free_port("127.0.0.1", port)
    assert "web.port" in caught.value.hint


def test_interface_that_is_not_here() -> None:
    # TEST-NET-1 (RFC 5737) is no machine's own.
    with pytest.raises(MiniosError, match=r"^port 80 on 192\.0\.2\.1 cannot be used: "):
        free_port("192.0.2.1", 80)
