"""Debian's `docker-registry` on the loopback: a real registry, and the log of what it was asked."""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "ci", "open sesame"
START_SECONDS = 30
# bcrypt of the password above, at the lowest cost.
_HTPASSWD = f"{USER}:$2b$04$Km63kizlO2hxK0J7MB.rmuLqB5is4Q7YIAjYd5LQms2oQIYYFj1Hy\n"
_LINE = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[0-9.]+" (?P<status>\d{3})')
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class RealRegistry:
    """A registry that runs.

    Args:
        host: `127.0.0.1:PORT`; it speaks plain http.
        pid: of its process.
        log: what it wrote.
    """

    host: str
    pid: int
    log: Path

    def asked(self, *methods: str) -> list[tuple[str, str, int]]:
        """Method, path and status of every request so far, or of those of some methods."""
        found = (_LINE.search(line) for line in self.log.read_text("utf-8", "replace").splitlines())
        return [
            (line["method"], line["path"], int(line["status"]))
            for line in found
            if line and (not methods or line["method"] in methods)
        ]


@contextmanager
def running_registry(folder: Path, *, password: bool = False, port: int = 0) -> Iterator[RealRegistry]:
    """Start a registry on a port, or a free one, with its blobs in `folder`; stopped by its pid."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "made up"},
    }
    if password:
        (folder / "htpasswd").write_text(_HTPASSWD, "utf-8")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    # JSON is YAML.
    (folder / "config.yml").write_text(json.dumps(config), "utf-8")
    log = folder / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield RealRegistry(_wait(process, log), process.pid, log)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := _LISTENING.search(log.read_text("utf-8", "replace")):
            with suppress(requests.ConnectionError):
                requests.get(f"http://{found[1]}/v2/", timeout=5)
                return found[1]
        time.sleep(0.02)
    pytest.fail(f"docker-registry did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
