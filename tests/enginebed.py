"""A stand-in for a Docker engine: the few answers of its API that are asked for, on the loopback."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from servebed import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


class FakeEngine(ThreadingHTTPServer):
    """Takes what `docker load` takes; `refusal` is what it says instead, `swapped` what it then has."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
        self.told["Arch"] = "amd64"
        self.refusal = ""
        self.swapped: list[str] | None = None
        self.loaded: dict[str, list[str]] = {}
        self.archives: list[dict[str, bytes]] = []

    @property
    def host(self) -> str:
        return f"tcp://127.0.0.1:{self.server_address[1]}"

    def load(self, archive: bytes) -> list[dict[str, Any]]:
        if self.refusal:
            return [{"errorDetail": {"message": self.refusal}, "error": self.refusal}]
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
        self.archives.append(files)
        [image] = json.loads(files["manifest.json"])
        diff_ids = json.loads(files[image["Config"]])["rootfs"]["diff_ids"]
        for name in image["RepoTags"]:
            self.loaded[name] = self.swapped or diff_ids
        return [{"stream": f"Loaded image: {name}\n"} for name in image["RepoTags"]]

    def handle_error(self, *_: Any) -> None:
        """A client that went away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeEngine

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        path = self.path.partition("/v1.41")[2] or self.path
        if path.endswith("/version"):
            self._answer(self.server.told)
            return
        name = path.removeprefix("/images/").removesuffix("/json")
        layers = self.server.loaded.get(name)
        if layers is None:
            self._answer({"message": f"No such image: {name}"}, 404)
        else:
            self._answer({"Id": "sha256:0", "RootFS": {"Type": "layers", "Layers": layers}})

    def do_POST(self) -> None:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        # The engine's progress comes as it is made.
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in [*(json.dumps(told) + "\r\n" for told in self.server.load(body)), ""]:
            self.wfile.write(f"{len(line):x}\r\n{line}\r\n".encode())

    def _answer(self, told: Any, status: int = 200) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_engine() -> Iterator[FakeEngine]:
    """A stand-in that runs."""
    with serving(FakeEngine()) as made:
        yield made
