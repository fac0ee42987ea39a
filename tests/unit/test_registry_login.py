from __future__ import annotations

import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from registrybed import PASSWORD, USER, Bed, Handler, basic, serving
from registryfaults import status

from minios_steps.core.digest import Digest
from minios_steps.core.registry.credentials import Credentials
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.login import Login, TokenRequest

CI = Credentials(USER, PASSWORD)
DATA = bytes(range(256)) * 1000


def token_asks(bed: Bed) -> list[set[str]]:
    return [
        set(parse_qs(urlsplit(one.path).query)["scope"]) for one in bed.seen if one.path.startswith("/token")
    ]


def test_basic_only_after_it_was_asked_for() -> None:
    with serving(auth="basic") as bed, bed.client(CI) as client:
        digest = bed.put(DATA)
        assert client.repository("team/app").read_blob(digest, 1 << 20) == DATA
        assert client.repository("team/app").read_blob(digest, 1 << 20) == DATA
        assert [one.headers.get("Authorization") for one in bed.seen] == [None, basic(), basic()]


def test_nothing_is_said_where_nothing_is_asked() -> None:
    with serving() as bed, bed.client(CI) as client:
        client.ping()
        assert "Authorization" not in bed.seen[0].headers


def test_a_wrong_password_is_tried_once() -> None:
    with serving(auth="basic") as bed, bed.client(Credentials(USER, "wrong")) as client:
        with pytest.raises(RegistryError, match="HTTP 401 Unauthorized: UNAUTHORIZED: made up") as caught:
            client.repository("team/app").get_manifest("t")
        assert len(bed.methods("GET")) == 2
        assert caught.value.code == "UNAUTHORIZED"
        assert USER in caught.value.hint
        assert "wrong" not in repr(caught.value) + str(caught.value) + caught.value.details
        # It is known to be wrong by now.
        with pytest.raises(RegistryError):
            client.repository("team/app").get_manifest("t")
        assert len(bed.methods("GET")) == 3


def test_a_wrong_password_at_the_token_server() -> None:
    with (
        serving(auth="bearer") as bed,
        bed.client(Credentials(USER, "wrong")) as client,
        pytest.raises(RegistryError, match=r"token server 127.*: HTTP 401.*: incorrect username or password"),
    ):
        client.ping()


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_without_credentials_the_hint_is_to_log_in(auth: str) -> None:
    with serving(auth=auth) as bed, bed.client() as client:
        with pytest.raises(RegistryError, match="401") as caught:
            client.ping()
        assert caught.value.hint == f"log in: docker login {bed.host}"


@pytest.mark.parametrize("field", ["token", "access_token"])
def test_a_token_is_fetched_once_for_each_scope(field: str) -> None:
    with serving(auth="bearer") as bed, bed.client(CI) as client:
        bed.token_field = field
        digest = bed.put(DATA)
        repository = client.repository("team/app")
        for _ in range(3):
            repository.read_blob(digest, 1 << 20)
        repository.put_manifest("t", b"{}", "x/y")
        assert token_asks(bed) == [
            {"repository:team/app:pull"},
            {"repository:team/app:pull,push"},
        ]
        asked = next(one for one in bed.seen if one.path.startswith("/token"))
        assert asked.headers["Authorization"] == basic()
        assert parse_qs(urlsplit(asked.path).query)["service"] == ["a, b"]


def test_a_mount_asks_for_both_repositories() -> None:
    with serving(auth="bearer") as bed, bed.client(CI) as client:
        digest = bed.put(DATA, "team/staging")
        client.repository("team/app").upload_blob(DATA, digest, mount_from="team/staging")
        assert token_asks(bed)[-1] == {"repository:team/app:pull,push", "repository:team/staging:pull"}


def test_a_token_that_expires_in_mid_upload_is_renewed() -> None:
    def expire(handler: Handler) -> None:
        handler.server.tokens.clear()
        handler.server.tokens["taken"] = frozenset()
        handler.serve()

    with serving(auth="bearer") as bed, bed.client(CI, chunk=100_000) as client:
        bed.fault("PATCH", "", expire)
        bed.fault("PUT", "", expire)
        digest = Digest.of(DATA)
        assert client.repository("team/app").upload_blob(DATA, digest) == "sent"
        assert bed.repo().blobs[str(digest)] == DATA
        assert len(token_asks(bed)) == 3
        # Nothing was begun anew, and only the refused part was sent twice.
        assert len(bed.methods("POST")) == 1


def test_a_refusal_with_a_fresh_token_is_final() -> None:
    with serving(auth="bearer") as bed, bed.client(CI) as client:
        for _ in range(2):
            challenge = f'Bearer realm="http://{bed.host}/token",error="insufficient_scope"'
            bed.fault("GET", "/v2/", status(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge}))
        with pytest.raises(RegistryError, match="UNAUTHORIZED"):
            client.repository("team/app").get_manifest("t")


def test_an_identity_token_is_exchanged() -> None:
    with serving(auth="bearer") as bed, bed.client(Credentials("", identity_token="renew")) as client:
        client.ping()
        [asked] = bed.methods("POST")
        assert asked == "POST /token"
        assert "renew" not in "".join(one.path for one in bed.seen)


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"no", b'{"token": 1}', b'{"token": "a\\nb"}', b'{"token": ""}']
)
def test_a_token_server_that_talks_nonsense(body: bytes) -> None:
    with serving(auth="bearer") as bed, bed.client(CI) as client:
        bed.fault("GET", "/token", lambda handler: handler.answer(200, body=body))
        with pytest.raises(RegistryError, match="the token server's answer"):
            client.ping()


def test_a_token_server_that_is_busy_is_asked_again() -> None:
    with serving(auth="bearer") as bed, bed.client(CI) as client:
        bed.fault("GET", "/token", status(503))
        client.ping()


def test_a_query_of_the_realm_is_kept_and_no_secret_shown() -> None:
    asked: list[TokenRequest] = []

    def fetch(request: TokenRequest) -> bytes:
        asked.append(request)
        return json.dumps({"token": "t"}).encode()

    login = Login(CI, fetch)
    login.learn('Bearer realm="https://auth.example/t?x=1"', ["s"])
    assert login.header(["s"]) == "Bearer t"
    assert asked[0].url == "https://auth.example/t?x=1&scope=s"
    assert PASSWORD not in repr(asked[0])
    assert basic() not in repr(asked[0])


@pytest.mark.parametrize(
    ("told", "lasts"),
    [({}, 60), ({"expires_in": 300}, 300), ({"expires_in": 0}, 60), ({"expires_in": "x"}, 60)],
)
def test_how_long_a_token_lasts(told: dict[str, object], lasts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    fetched: list[TokenRequest] = []

    def fetch(request: TokenRequest) -> bytes:
        fetched.append(request)
        return json.dumps({"token": "t", **told}).encode()

    login = Login(CI, fetch)
    login.learn('Bearer realm="https://auth.example/t"', ["s"])
    login.header(["s"])
    now[0] += lasts - 6
    login.header(["s"])
    assert len(fetched) == 1
    now[0] += 2
    login.header(["s"])
    assert len(fetched) == 2


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials(USER, PASSWORD, "identity"))
    assert USER in shown
    assert PASSWORD not in shown
    assert "identity" not in shown.replace("identity_token", "")


def test_logins_of_two_threads_do_not_mix() -> None:
    login = Login(CI, lambda request: json.dumps({"token": request.url.rsplit("=", 1)[1]}).encode())
    login.learn('Bearer realm="https://auth.example/t"', [])
    found: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: login.header([name])}))
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: f"Bearer {name}" for name in "abcd"}
