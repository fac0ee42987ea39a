from __future__ import annotations

import datetime as dt
import socket
import threading
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from mirrorbed import (
    BODY,
    FAST,
    Client,
    claims,
    cut_off,
    cut_off_chunked,
    endless,
    serving,
    silent,
    status,
    whole,
)

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import https
from minios_steps.core.sources.storage import StorageError
from minios_steps.core.web import patience

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorbed import Behaviour, Handler


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path / "cache")


def test_downloads_the_file_of_the_version(client: Client) -> None:
    with serving(whole(BODY)) as server:
        got = client.get(server.url())
        assert got.path.read_bytes() == BODY
        assert not got.resumed
        assert got.origin == f"127.0.0.1:{server.server_address[1]}"
        assert server.seen[0]["Accept-Encoding"] == "identity"


def test_a_folder_url_gets_upstreams_file_name(client: Client) -> None:
    asked = []

    def behave(handler: Handler) -> None:
        asked.append(handler.path)
        whole(BODY)(handler)

    with serving(behave) as server:
        client.get(server.url("downloads/"))
    assert asked == ["/downloads/busybox-1.38.0.tar.bz2"]


@pytest.mark.parametrize("cut", [cut_off(BODY, 1000), cut_off_chunked(BODY[:1000])])
def test_a_truncated_download_is_gone_on_with(client: Client, cut: Behaviour) -> None:
    with serving(cut, whole(BODY)) as server:
        got = client.get(server.url())
        assert got.path.read_bytes() == BODY
        assert got.resumed
        assert server.seen[1]["Range"] == "bytes=1000-"
    assert any("trying again" in line for line in client.lines)


def test_a_download_that_stays_truncated_fails_clearly(client: Client) -> None:
    with (
        serving(lambda h: h.answer(200, {"Content-Length": "10"}, b"abc")) as server,
        pytest.raises(SourceError, match=r"cut off after 3 of 10 bytes|connection broke"),
    ):
        client.get(server.url())
    assert len(server.seen) == FAST.tries


def test_a_part_of_an_earlier_run_is_gone_on_with(client: Client) -> None:
    with serving(cut_off(BODY, 5000, etag='"one"'), status(500), whole(BODY, etag='"one"')) as server:
        with pytest.raises(SourceError):
            client.get(server.url(), patience=https.Patience(tries=1))
        assert client.part(server.url()).stat().st_size == 5000
        got = client.get(server.url())
        assert got.path.read_bytes() == BODY
        assert server.seen[2]["If-Range"] == '"one"'
        assert server.seen[2]["Range"] == "bytes=5000-"


def test_a_part_of_a_file_that_changed_is_not_mixed_in(client: Client) -> None:
    with serving(cut_off(b"old" * 9000, 5000, etag='"old"'), whole(BODY, etag='"new"')) as server:
        got = client.get(server.url())
    assert got.path.read_bytes() == BODY
    assert not got.resumed


def test_the_modification_time_stands_in_for_a_weak_etag(client: Client) -> None:
    when = "Wed, 13 May 2026 02:21:49 GMT"

    def first(handler: Handler) -> None:
        headers = {"Content-Length": str(len(BODY)), "ETag": 'W/"weak"', "Last-Modified": when}
        handler.answer(200, headers, BODY[:5000])

    with serving(first, whole(BODY, modified=when)) as server:
        assert client.get(server.url()).path.read_bytes() == BODY
        assert server.seen[1]["If-Range"] == when


def test_a_server_without_ranges_starts_afresh(client: Client) -> None:
    with serving(cut_off(BODY, 5000), cut_off(BODY, len(BODY))) as server:
        got = client.get(server.url())
    assert got.path.read_bytes() == BODY
    assert not got.resumed


def test_a_part_that_is_whole_already_needs_no_byte(client: Client) -> None:
    with serving(whole(BODY)) as server:
        part = client.part(server.url())
        part.parent.mkdir(parents=True)
        part.write_bytes(BODY)
        got = client.get(server.url())
    assert got.path.read_bytes() == BODY
    assert got.resumed


def test_a_part_longer_than_the_servers_file_is_dropped(client: Client) -> None:
    with serving(whole(BODY)) as server:
        part = client.part(server.url())
        part.parent.mkdir(parents=True)
        part.write_bytes(BODY + b"more")
        got = client.get(server.url())
    assert got.path.read_bytes() == BODY
    assert not got.resumed


def test_another_range_than_asked_for_is_not_used(client: Client) -> None:
    def wrong(handler: Handler) -> None:
        headers = {"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}", "Content-Length": str(len(BODY))}
        handler.answer(206, headers, BODY)

    with serving(cut_off(BODY, 1000), wrong, whole(BODY)) as server:
        assert client.get(server.url()).path.read_bytes() == BODY
        assert "Range" not in server.seen[2]


def test_a_range_that_is_shorter_than_asked_for_is_gone_on_with(client: Client) -> None:
    def short(handler: Handler) -> None:
        headers = {"Content-Range": f"bytes 1000-1999/{len(BODY)}", "Content-Length": "1000"}
        handler.answer(206, headers, BODY[1000:2000])

    with serving(cut_off(BODY, 1000), short, whole(BODY)) as server:
        assert client.get(server.url()).path.read_bytes() == BODY
        assert server.seen[2]["Range"] == "bytes=2000-"
    assert f"cut off after 2,000 of {len(BODY):,} bytes" in client.lines[1]


def test_a_part_over_the_limit_is_not_gone_on_with(client: Client) -> None:
    with serving(whole(BODY)) as server:
        part = client.part(server.url())
        part.parent.mkdir(parents=True)
        part.write_bytes(bytes(client.max_bytes + 1))
        assert client.get(server.url()).path.read_bytes() == BODY
        assert "Range" not in server.seen[0]


@pytest.mark.parametrize("code", [500, 502, 503, 429])
def test_a_passing_failure_is_retried(client: Client, code: int) -> None:
    with serving(status(code), whole(BODY)) as server:
        assert client.get(server.url()).path.read_bytes() == BODY


def test_retry_after_is_honoured(client: Client) -> None:
    waited = []
    soon = format_datetime(dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=1))
    polite = https.Patience(first_wait=0.001, longest_wait=5)
    with (
        serving(status(429, {"Retry-After": "2"}), status(503, {"Retry-After": soon}), whole(BODY)) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(patience, "pause", lambda seconds, _: waited.append(seconds))
        client.get(server.url(), patience=polite)
    assert waited[0] == 2
    assert 0 < waited[1] <= 2


def test_a_server_that_asks_for_too_long_a_wait_is_given_up(client: Client) -> None:
    with (
        serving(status(429, {"Retry-After": "3600"})) as server,
        pytest.raises(SourceError, match="HTTP 429 Too Many Requests, asks to wait 3600 s"),
    ):
        client.get(server.url())
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_clear_no_is_not_retried(client: Client, code: int) -> None:
    with serving(status(code)) as server, pytest.raises(SourceError, match=f"HTTP {code}"):
        client.get(server.url())
    assert len(server.seen) == 1


def test_tries_are_bounded(client: Client) -> None:
    with serving(status(500)) as server, pytest.raises(SourceError, match="HTTP 500"):
        client.get(server.url())
    assert len(server.seen) == FAST.tries


def test_an_endless_stream_is_cut(client: Client) -> None:
    with (
        serving(endless) as server,
        pytest.raises(SourceError, match="more than the 1,048,576 bytes allowed"),
    ):
        client.get(server.url())
    assert not client.part(server.url()).exists()
    assert len(server.seen) == 1


def test_a_file_announced_as_too_large_is_not_read(client: Client) -> None:
    with (
        serving(claims(1 << 40)) as server,
        pytest.raises(SourceError, match="1,099,511,627,776 bytes, more than"),
    ):
        client.get(server.url())


def test_a_server_that_stops_sending_is_left(client: Client) -> None:
    over = threading.Event()
    patience = https.Patience(read=0.05, tries=2, first_wait=0.001)
    with serving(silent(over)) as server:
        try:
            with pytest.raises(SourceError, match="it stopped sending"):
                client.get(server.url(), patience=patience)
        finally:
            over.set()


def test_the_whole_download_has_a_deadline(client: Client) -> None:
    with serving(endless) as server, pytest.raises(SourceError, match="not done in 0 seconds"):
        client.get(server.url(), patience=https.Patience(total=0))


def test_connection_refused_is_retried_once(client: Client) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(SourceError, match="connection refused"):
            client.get(f"http://127.0.0.1:{port}/")
    assert len(client.lines) == 1


def test_a_name_that_does_not_exist_is_retried_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(*args: Any, **_: Any) -> None:
        asked.append(args[0])
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError, match="host name not found"):
        client.get("https://busybox.invalid/")
    assert asked == ["busybox.invalid"] * 2


def test_a_download_is_cancelled_between_blocks(client: Client) -> None:
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) > 4

    client.cancelled = cancelled
    client.max_bytes = 1 << 30
    with serving(endless) as server, pytest.raises(CancelledError):
        client.get(server.url())
    assert client.part(server.url()).exists()


def test_a_wait_before_the_next_try_is_cancelled(client: Client) -> None:
    with serving(status(429, {"Retry-After": "60"})) as server:
        client.cancelled = lambda: len(server.seen) > 0
        with pytest.raises(CancelledError):
            client.get(server.url(), patience=https.Patience(longest_wait=100))


def test_a_full_disk_is_told_and_leaves_no_part(client: Client) -> None:
    with serving(whole(BODY)) as server:
        part = client.part(server.url())
        part.parent.mkdir(parents=True)
        # The kernel's own "no space left on device".
        part.symlink_to("/dev/full")
        with pytest.raises(
            StorageError, match=r"cannot write .*: the disk is full, 262,144 bytes are needed"
        ):
            client.get(server.url())
        assert not part.is_symlink()
        assert len(server.seen) == 1
