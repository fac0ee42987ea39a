"""What the tests of the registry client share: a registry on the loopback that misbehaves as it is told.

It keeps everything in memory, follows distribution-spec as far as the client needs, and
plays each fault once, for the first request that fits.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import servebed

from minios_steps.core.digest import Digest
from minios_steps.core.oci.media import INDEX
from minios_steps.core.registry.client import Registry
from minios_steps.core.registry.endpoint import Endpoint
from minios_steps.core.web.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from minios_steps.core.registry.credentials import Credentials

    Fault = Callable[["Handler"], None]

FAST = Patience(connect=20, read=20, total=60, tries=4, unreachable_tries=4, first_wait=0.001, longest_wait=1)
USER, PASSWORD = "ci", "open sesame"


@dataclass(frozen=True)
class Seen:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Repo:
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)


class Bed(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *, auth: str = "", listens: bool = True) -> None:
        """`auth`: empty, `basic` or `bearer`."""
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=listens)
        self.auth = auth
        self.repos: dict[str, Repo] = {}
        self.uploads: dict[str, bytearray] = {}
        self.faults: list[tuple[str, str, Fault]] = []
        self.seen: list[Seen] = []
        self.tokens: dict[str, frozenset[str]] = {}
        self.issued = 0
        self.token_field = "token"
        self.token_more: dict[str, Any] = {}
        self.realm = ""
        self.keeps_referrers = False
        self.hides_digests = False
        self.location = "/v2/{repo}/blobs/uploads/{upload}?_state=a%2Fb"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def repo(self, name: str = "team/app") -> Repo:
        return self.repos.setdefault(name, Repo())

    def put(self, data: bytes, name: str = "team/app") -> Digest:
        digest = Digest.of(data)
        self.repo(name).blobs[str(digest)] = data
        return digest

    def fault(self, method: str, path: str, what: Fault) -> None:
        """Play `what` once, for the first such request whose path fits the expression."""
        self.faults.append((method, path, what))

    def methods(self, *methods: str) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.seen if one.method in methods]

    def client(
        self,
        credentials: Credentials | None = None,
        *,
        chunk: int = 1 << 20,
        patience: Patience = FAST,
        **more: Any,
    ) -> Registry:
        endpoint = Endpoint(self.host, plain_http=True, chunk=chunk, patience=patience)
        return Registry(endpoint, credentials, **more)

    def handle_error(self, *_: Any) -> None:
        """A client that went away is part of the game."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go out one by one, and the second would wait for the first to be acknowledged.
    disable_nagle_algorithm = True
    server: Bed

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def serve(self) -> None:
        bed = self.server
        bed.seen.append(Seen(self.command, self.path, dict(self.headers.items())))
        parts = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        for number, (method, path, what) in enumerate(bed.faults):
            if method == self.command and re.search(path, self.path):
                del bed.faults[number]
                what(self)
                return
        if parts.path == "/token":
            self.token()
        elif self.allowed():
            self.route(parts.path)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815  # http.server's names

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self.body()
        told = {"errors": [{"code": code, "message": f"made up: {code.lower()}"}]}
        self.answer(status, headers, json.dumps(told).encode())

    def drop(self) -> None:
        """Cut the connection, as a crash does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def allowed(self) -> bool:
        bed = self.server
        given = self.headers.get("Authorization", "")
        if not bed.auth or given == basic():
            return True
        challenge = 'Basic realm="made up"'
        if bed.auth == "bearer":
            if bed.tokens.get(given.removeprefix("Bearer ")) is not None:
                return True
            realm = bed.realm or f"http://{bed.host}/token"
            challenge = f'Bearer realm="{realm}",service="a, b",scope="repository:team/app:pull"'
        self.refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
        return False

    def token(self) -> None:
        bed = self.server
        form = self.body().decode()
        if self.headers.get("Authorization") != basic() and "refresh_token=renew" not in form:
            self.answer(401, body=b'{"details":"incorrect username or password"}')
            return
        scopes = parse_qs(form or urlsplit(self.path).query).get("scope", [])
        bed.issued += 1
        name = f"token-{bed.issued}"
        bed.tokens[name] = frozenset(scopes)
        self.answer(200, body=json.dumps({bed.token_field: name, **bed.token_more}).encode())

    def route(self, path: str) -> None:
        match = re.fullmatch(r"/v2/(.+?)/(blobs/uploads/|blobs|manifests|tags|referrers)/?(.*)", path)
        if not match:
            self.answer(200 if path == "/v2/" else 404)
            return
        repo, kind, rest = match.groups()
        known = {"blobs/uploads/": self.upload, "blobs": self.blob, "manifests": self.manifest}
        if kind in known:
            known[kind](repo, rest)
        elif kind == "tags":
            names = [tag for tag in self.server.repo(repo).manifests if ":" not in tag]
            self.answer(200, body=json.dumps({"name": repo, "tags": names}).encode())
        elif self.server.keeps_referrers:
            self.referrers(repo, rest)
        else:
            self.answer(404)

    def referrers(self, repo: str, subject: str) -> None:
        found = {}
        for raw, kind in self.server.repo(repo).manifests.values():
            told = json.loads(raw)
            if (told.get("subject") or {}).get("digest") == subject:
                digest = str(Digest.of(raw))
                artifact = told.get("artifactType") or told["config"]["mediaType"]
                found[digest] = {
                    "mediaType": kind, "digest": digest, "size": len(raw), "artifactType": artifact,
                }  # fmt: skip
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(found.values())}
        self.answer(200, {"Content-Type": INDEX}, json.dumps(body).encode())

    def blob(self, repo: str, digest: str) -> None:
        data = self.server.repo(repo).blobs.get(digest)
        if data is None:
            self.refuse(404, "BLOB_UNKNOWN")
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        more = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        self.answer(206 if start else 200, {**self.told(digest), **more}, data[start:])

    def told(self, digest: str) -> dict[str, str]:
        return {} if self.server.hides_digests else {"Docker-Content-Digest": digest}

    def at(self, repo: str, upload: str) -> dict[str, str]:
        size = len(self.server.uploads[upload])
        where = self.server.location.format(repo=repo, upload=upload, host=self.server.host)
        return {"Location": where, "Range": f"0-{max(size - 1, 0)}"}

    def upload(self, repo: str, upload: str) -> None:
        bed = self.server
        if self.command == "POST":
            mounted = bed.repo(self.query.get("from", "")).blobs.get(self.query.get("mount", ""))
            if mounted is not None:
                bed.put(mounted, repo)
                self.answer(201, self.told(self.query["mount"]))
                return
            upload = f"u{len(bed.uploads)}"
            bed.uploads[upload] = bytearray()
            self.answer(202, self.at(repo, upload))
        elif upload not in bed.uploads:
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        elif self.command == "GET":
            self.answer(204, self.at(repo, upload))
        elif self.command == "DELETE":
            del bed.uploads[upload]
            self.answer(204)
        else:
            bed.uploads[upload] += self.body()
            if self.command == "PATCH":
                self.answer(202, self.at(repo, upload))
                return
            data = bytes(bed.uploads.pop(upload))
            if str(Digest.of(data)) != self.query["digest"]:
                self.refuse(400, "DIGEST_INVALID")
                return
            bed.put(data, repo)
            self.answer(201, self.told(self.query["digest"]))

    def manifest(self, repo: str, ref: str) -> None:
        manifests = self.server.repo(repo).manifests
        if self.command == "PUT":
            raw = self.body()
            digest = str(Digest.of(raw))
            manifests[ref] = manifests[digest] = (raw, self.headers["Content-Type"])
            subject = {"OCI-Subject": digest} if self.server.keeps_referrers else {}
            self.answer(201, {**self.told(digest), **subject})
        elif ref not in manifests:
            self.refuse(404, "MANIFEST_UNKNOWN")
        elif self.command == "DELETE":
            del manifests[ref]
            self.answer(202)
        else:
            raw, kind = manifests[ref]
            self.answer(200, {**self.told(str(Digest.of(raw))), "Content-Type": kind}, raw)


def basic(user: str = USER, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def serving(*, auth: str = "", certificate: Path | None = None) -> Iterator[Bed]:
    """A registry that runs."""
    with servebed.serving(Bed(auth=auth), certificate) as bed:
        yield bed
