from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mirrorbed import BODY, Client, serving, status, whole
from selfsigned import make_certificate

from minios_steps.core.errors import SourceError
from minios_steps.core.web.url import host_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path / "cache")


def test_plain_http_needs_leave(client: Client) -> None:
    with serving(whole(BODY)) as server:
        with pytest.raises(SourceError, match="http is not allowed") as caught:
            client.get(server.url(), insecure=False)
        assert not server.seen
    assert "insecure: true" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file:///etc/passwd", "busybox.net/x", "https:///x", "https://[x/"]
)
def test_other_urls_are_refused(client: Client, url: str) -> None:
    with pytest.raises(SourceError, match=r"not allowed|not a URL"):
        client.get(url)


def test_a_redirect_is_followed(client: Client) -> None:
    with serving(whole(BODY)) as there, serving(status(302, {"Location": there.url("x")})) as here:
        assert client.get(here.url()).path.read_bytes() == BODY


def test_a_redirect_to_another_scheme_is_refused(client: Client) -> None:
    with (
        serving(status(302, {"Location": "file:///etc/passwd"})) as server,
        pytest.raises(SourceError, match=r"not a URL with a host|not allowed"),
    ):
        client.get(server.url())


def test_redirects_are_bounded(client: Client) -> None:
    with (
        serving(status(302, {"Location": "/again"})) as server,
        pytest.raises(SourceError, match="more than 5 redir"),
    ):
        client.get(server.url())
    assert len(server.seen) == 6


def test_passwords_in_urls_are_not_shown() -> None:
    assert host_of("https://user:hunter2@busybox.example:8443/x?token=1") == "busybox.example:8443"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_https_with_a_trusted_certificate(
    client: Client, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(whole(BODY), certificate=certificate) as server:
        assert client.get(server.url(scheme="https"), insecure=False).path.read_bytes() == BODY


def test_an_untrusted_certificate_is_refused_at_once(client: Client, certificate: Path) -> None:
    with (
        serving(whole(BODY), certificate=certificate) as server,
        pytest.raises(SourceError, match="its certificate is not trusted"),
    ):
        client.get(server.url(scheme="https"))
    assert not client.lines


def test_https_never_leads_to_http(
    client: Client, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(whole(BODY)) as plain:
        moved = status(301, {"Location": plain.url("x")})
        with (
            serving(moved, certificate=certificate) as server,
            pytest.raises(SourceError, match="redirects from https to http"),
        ):
            client.get(server.url(scheme="https"), insecure=True)
        assert not plain.seen
