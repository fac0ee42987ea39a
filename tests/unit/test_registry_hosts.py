"""Where requests and secrets may go: redirects, other hosts, TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from registrybed import FAST, PASSWORD, USER, Bed, Handler, serving
from selfsigned import make_certificate

from minios_steps.core.digest import Digest
from minios_steps.core.registry.client import Registry
from minios_steps.core.registry.credentials import Credentials
from minios_steps.core.registry.endpoint import Endpoint
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

    from registrybed import Fault

CI = Credentials(USER, PASSWORD)
DATA = b"layer" * 1000
LIMIT = 1 << 20


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def redirect(url: str, code: int = 307) -> Fault:
    def behave(handler: Handler) -> None:
        handler.body()
        handler.answer(code, {"Location": url})

    return behave


def secure(bed: Bed, ca: Path | None, *, plain_http: bool = False) -> Registry:
    return Registry(Endpoint(bed.host, plain_http=plain_http, ca=ca, patience=FAST), CI)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_redirect_to_another_host_gets_no_authorization(auth: str) -> None:
    with serving(auth=auth) as here, serving() as there, here.client(CI) as client:
        digest = here.put(DATA)
        there.put(DATA, "cdn/x")
        client.ping()
        here.fault("GET", "blobs", redirect(f"http://{there.host}/v2/cdn/x/blobs/{digest}"))
        if auth == "bearer":
            client.repository("team/app").head_blob(digest)
        assert client.repository("team/app").read_blob(digest, LIMIT) == DATA
        assert any("Authorization" in one.headers for one in here.seen)
        assert ["Authorization" in one.headers for one in there.seen] == [False]


def test_a_redirect_to_itself_keeps_it() -> None:
    with serving(auth="basic") as bed, bed.client(CI) as client:
        digest = bed.put(DATA, "moved/here")
        bed.fault("GET", "team", redirect(f"/v2/moved/here/blobs/{digest}"))
        client.ping()
        assert client.repository("team/app").read_blob(digest, LIMIT) == DATA


def test_another_host_that_asks_for_a_login_gets_none() -> None:
    with serving(auth="basic") as here, serving(auth="basic") as there, here.client(CI) as client:
        digest = here.put(DATA)
        client.ping()
        here.fault("GET", "blobs", redirect(f"http://{there.host}/v2/team/app/blobs/{digest}"))
        with pytest.raises(RegistryError, match="401"):
            client.repository("team/app").read_blob(digest, LIMIT)
        assert not any("Authorization" in one.headers for one in there.seen)


def test_an_upload_to_another_host_gets_no_authorization() -> None:
    with serving(auth="basic") as here, serving() as there, here.client(CI) as client:
        there.uploads["u0"] = bytearray()
        here.location = f"http://{there.host}/v2/team/app/blobs/uploads/u0"
        assert client.repository("team/app").upload_blob(DATA, Digest.of(DATA)) == "sent"
        assert there.repo().blobs
        assert not any("Authorization" in one.headers for one in there.seen)


@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
def test_what_changes_something_follows_no_redirect(method: str) -> None:
    with serving() as here, serving() as there, here.client(chunk=1000) as client:
        here.fault(method, "", redirect(f"http://{there.host}/"))
        with pytest.raises(RegistryError, match="HTTP 307"):
            client.repository("team/app").upload_blob(DATA, Digest.of(DATA))
        assert not there.seen


def test_redirects_are_bounded() -> None:
    with serving() as bed, bed.client() as client:
        for _ in range(9):
            bed.fault("GET", "", redirect("/v2/"))
        with pytest.raises(RegistryError, match="more than 5 redirects"):
            client.ping()
        assert len(bed.seen) == 6


def test_the_netrc_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving() as bed, bed.client() as client:
        client.ping()
        assert "Authorization" not in bed.seen[0].headers


def test_a_registrys_own_authority(certificate: Path) -> None:
    with serving(auth="basic", certificate=certificate) as bed, secure(bed, certificate) as client:
        digest = bed.put(DATA)
        assert client.repository("team/app").read_blob(digest, LIMIT) == DATA


def test_without_it_the_registry_is_not_trusted(certificate: Path) -> None:
    with serving(certificate=certificate) as bed, secure(bed, None) as client:
        with pytest.raises(RegistryError, match="certificate is not trusted") as caught:
            client.ping()
        assert "authority" in caught.value.hint
        assert not bed.seen


def test_an_authority_that_is_none(tmp_path: Path) -> None:
    for text in (None, "no certificate"):
        path = tmp_path / f"ca-{text}.pem"
        if text:
            path.write_text(text, "utf-8")
        with pytest.raises(RegistryError, match="cannot be read as certificates"):
            Registry(Endpoint("localhost", ca=path))


def test_https_is_what_is_spoken_unless_told_otherwise() -> None:
    with serving() as bed, secure(bed, None) as client:
        with pytest.raises(RegistryError, match="no TLS"):
            client.ping()
        assert not bed.seen


def test_https_never_leads_to_http(certificate: Path) -> None:
    with serving(certificate=certificate) as bed, serving() as plain, secure(bed, certificate) as client:
        digest = plain.put(DATA)
        bed.fault("GET", "", redirect(f"http://{plain.host}/v2/team/app/blobs/{digest}"))
        with pytest.raises(RegistryError, match="redirects from https to http"):
            client.repository("team/app").read_blob(digest, LIMIT)
        bed.location = f"http://{plain.host}/v2/team/app/blobs/uploads/u0"
        with pytest.raises(RegistryError, match="http is not allowed"):
            client.repository("team/app").upload_blob(DATA, digest)
        assert not plain.seen


def test_a_token_server_without_tls_is_not_told_the_password(certificate: Path) -> None:
    with (
        serving(auth="bearer", certificate=certificate) as bed,
        serving() as plain,
        secure(bed, certificate) as client,
    ):
        bed.realm = f"http://{plain.host}/token"
        with pytest.raises(RegistryError, match="http is not allowed"):
            client.ping()
        assert not plain.seen


def test_a_token_server_elsewhere() -> None:
    with serving(auth="bearer") as bed, serving() as issuer, bed.client(CI) as client:
        bed.realm = f"http://{issuer.host}/token"
        bed.tokens = issuer.tokens
        client.ping()
        [asked] = issuer.seen
        assert asked.headers["Authorization"].startswith("Basic ")


def test_a_token_server_that_moved_is_not_told_the_password_elsewhere() -> None:
    with serving(auth="bearer") as bed, serving() as issuer, serving() as thief, bed.client(CI) as client:
        bed.realm = f"http://{issuer.host}/token"
        issuer.fault("GET", "/token", redirect(f"http://{thief.host}/token"))
        with pytest.raises(RegistryError, match="401"):
            client.ping()
        assert ["Authorization" in one.headers for one in thief.seen] == [False]
