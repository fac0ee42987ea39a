"""A made-up upstream: a download folder on the loopback, and a test key that signs what is in it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servebed import serving

from minios_steps.core.digest import Digest
from minios_steps.core.upstream.signature import PinnedKey
from minios_steps.core.web.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

IMPATIENT = Patience(connect=2, read=2, total=20, tries=2, first_wait=0.001, longest_wait=0.01)
REAL_SIGNATURE = Path(__file__).parent / "data" / "busybox-1.38.0.tar.bz2.sig"


class MadeUpKey:
    """A key made for one test, in a folder of its own. It vouches for nothing outside of tests."""

    def __init__(self, folder: Path) -> None:
        self._home = folder
        folder.mkdir(mode=0o700)
        self._gpg(
            "--passphrase", "", "--quick-gen-key", "Test key, not upstream <test@example.org>", "ed25519"
        )
        listed = self._gpg("--with-colons", "--list-keys").decode()
        self.fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        self.public = self._gpg("--armor", "--export", self.fingerprint)

    def sign(self, data: bytes, *, armoured: bool = False) -> bytes:
        """A detached signature."""
        return self._gpg(*(["--armor"] if armoured else []), "--detach-sign", data=data)

    def pinned(self, folder: Path) -> PinnedKey:
        """The public part in a file."""
        path = folder / "test-key.asc"
        path.write_bytes(self.public)
        return PinnedKey(path, self.fingerprint)

    def _gpg(self, *words: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--no-autostart"]
        # Making and using a secret key needs the agent, which ends with its folder.
        if "--export" not in words:
            command.remove("--no-autostart")
        return subprocess.run([*command, *words], input=data, capture_output=True, check=True).stdout

    def close(self) -> None:
        """Stop the agent that gpg started for this folder."""
        command = ["gpgconf", "--homedir", str(self._home), "--kill", "gpg-agent"]
        subprocess.run(command, capture_output=True, check=True)


@contextmanager
def made_up_key(folder: Path) -> Iterator[MadeUpKey]:
    """A key whose agent is stopped at the end."""
    key = MadeUpKey(folder)
    try:
        yield key
    finally:
        key.close()


def small_release(version: str, *, files: dict[str, str] | None = None, mtime: int = 1_700_000_000) -> bytes:
    """A tarball that looks like a release, of a few bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:bz2") as tar:
        for name, text in (files or {"README": f"BusyBox {version}, made up\n"}).items():
            info = tarfile.TarInfo(f"busybox-{version}/{name}")
            info.size, info.mtime = len(text), mtime
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


class Upstream(ThreadingHTTPServer):
    """Serves `files` below `/downloads/`, with a page that lists them; `asked` has every path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.down = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/downloads/"

    def publish(self, version: str, tarball: bytes, signature: bytes | None, *, sha256: str = "") -> None:
        """A release's files; without a signature, or with a checksum of something else."""
        name = f"busybox-{version}.tar.bz2"
        self.files[name] = tarball
        self.files[f"{name}.sha256"] = f"{sha256 or Digest.of(tarball).hex}  {name}\n".encode()
        if signature is not None:
            self.files[f"{name}.sig"] = signature

    def page(self) -> bytes:
        """What Apache would show, with the things that are no releases."""
        names = [*sorted(self.files), "busybox-snapshot.tar.bz2", "busybox-1.00.tar.bz2", "OLD/"]
        rows = "".join(f'<tr><td><a href="{name}">{name}</a></td></tr>' for name in names)
        return f'<html><a href="?C=N;O=D">Name</a><table>{rows}</table></html>'.encode()


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        name = self.path.removeprefix("/downloads/")
        self.server.asked.append(name)
        body = self.server.page() if not name else self.server.files.get(name)
        if self.server.down:
            self.send_error(503)
        elif body is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def upstream() -> Iterator[Upstream]:
    """A server in a thread."""
    with serving(Upstream()) as server:
        yield server
