"""A master that stays, whose nights are run by the command line and release into a real registry."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from registryrig import RealRegistry
    from userland import Minios

REPOSITORY = "team/minios"
WRITES = ("PUT", "POST", "PATCH", "DELETE")

_TAGS = ("1.38.0", "1.38", "latest")
_ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
_STEPS = """SELECT steps.name FROM steps JOIN builds ON builds.id = steps.buildid
    JOIN builders ON builders.id = builds.builderid WHERE builders.name = 'x86_64' AND steps.results != 3"""


class Nights:
    """A master that is up and releases into a registry.

    Args:
        cli: its command line.
        host: of the registry.
    """

    def __init__(self, cli: Minios, host: str) -> None:
        self.cli = cli
        self.place = f"{host}/{REPOSITORY}"
        self.url = f"http://{host}/v2/{REPOSITORY}"
        up = cli.run("up", "--registry", self.place)
        assert up.returncode == 0, up.stdout + up.stderr

    def night(self, *words: str, code: int = 0) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """A nightly: its report, its one cell, and its one release."""
        done = self.cli.run("nightly", "run", "--json", *words)
        assert done.returncode == code, done.stdout + done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        told = json.loads(self.cli.run("nightly", "report", "--json").stdout)
        assert told == report
        [cell], [release] = report["cells"], report["releases"]
        return report, cell, release

    def image(self) -> dict[str, Any]:
        """The manifest of the one image that all tags lead to; every byte of it is there."""
        [index] = {self._get(f"manifests/{tag}") for tag in _TAGS}
        [entry] = json.loads(index)["manifests"]
        manifest: dict[str, Any] = json.loads(self._get(f"manifests/{entry['digest']}"))
        for blob in (manifest["config"], *manifest["layers"]):
            assert len(self._get(f"blobs/{blob['digest']}")) == blob["size"]
        return manifest

    def forget(self, digest: str) -> None:
        """Have the registry remove a manifest from the release's repository."""
        assert requests.delete(f"{self.url}/manifests/{digest}", timeout=10).ok

    def steps(self) -> list[str]:
        """Every step that cells' builds have run, but for those that were skipped."""
        database = f"file:{self.cli.state / 'master' / 'state.sqlite'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            return [name for (name,) in connection.execute(_STEPS)]

    def _get(self, what: str) -> bytes:
        found = requests.get(f"{self.url}/{what}", headers={"Accept": _ACCEPT}, timeout=10)
        assert found.ok, found.text
        return found.content


def asked_since(registry: RealRegistry, start: int, *methods: str) -> list[tuple[str, str, int]]:
    """What a registry was asked after so many requests."""
    return [one for one in registry.asked()[start:] if one[0] in methods]
