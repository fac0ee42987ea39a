"""Night after night into a real registry, by one master that stays: it loses images, and it goes away."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import requests
from minios_master.settings import free_port
from registryrig import RealRegistry, running_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from userland import Minios

REPOSITORY = "team/minios"
WRITES = ("PUT", "POST", "PATCH", "DELETE")
TAGS = ("1.38.0", "1.38", "latest")
ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
STEPS = """SELECT steps.name FROM steps JOIN builds ON builds.id = steps.buildid
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
        [index] = {self._get(f"manifests/{tag}") for tag in TAGS}
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
            return [name for (name,) in connection.execute(STEPS)]

    def _get(self, what: str) -> bytes:
        found = requests.get(f"{self.url}/{what}", headers={"Accept": ACCEPT}, timeout=10)
        assert found.ok, found.text
        return found.content


def lose(folder: Path, digest: str) -> None:
    """Remove a blob or manifest from a registry's storage."""
    [path] = folder.glob(f"data/docker/registry/v2/blobs/sha256/*/{digest.removeprefix('sha256:')}/data")
    path.unlink()


def asked_since(registry: RealRegistry, start: int, *methods: str) -> list[tuple[str, str, int]]:
    """What a registry was asked after so many requests."""
    return [one for one in registry.asked()[start:] if one[0] in methods]


def test_nights(config_copy: Any, minios: Any, need: Callable[..., None], tmp_path: Path) -> None:
    need("docker-registry")
    config = config_copy(tiny=True, arches={"x86_64": "required"})
    for path in (config / "arches").glob("*.yaml"):
        if path.stem != "x86_64":
            path.unlink()
    folder, port = tmp_path / "registry", free_port("127.0.0.1")
    with running_registry(folder, port=port) as registry:
        nights = Nights(minios(config), registry.host)
        report, cell, release = nights.night()
        assert (report["verdict"], cell["state"], release["outcome"]) == ("good", "changed", "released")
        assert nights.steps().count("compile") == 1
        manifest = nights.image()
        index, layer, digest = release["index"], manifest["layers"][0]["digest"], cell["digest"]

        # Nothing is compiled or sent, and what people get is fetched by its digest, from there, and run.
        start = len(registry.asked())
        report, cell, release = nights.night("--registry", nights.place)
        assert (report["verdict"], cell["state"], release["outcome"]) == ("good", "tested", "unchanged")
        assert cell["text"].startswith(f"the released image {digest[7:19]}: 6 checks passed natively")
        assert asked_since(registry, start, *WRITES) == []
        fetched = [
            path for _, path, status in asked_since(registry, start, "GET") if status == requests.codes.ok
        ]
        assert f"/v2/{REPOSITORY}/blobs/{layer}" in fetched
        assert f"/v2/{REPOSITORY}/manifests/{digest}" in fetched

        # Its storage loses the layer: that is sent again, and told.
        lose(folder, layer)
        report, cell, release = nights.night()
        assert (report["verdict"], cell["state"], release["outcome"]) == ("warnings", "tested", "unchanged")
        lost = "x86_64 1.38.0 static: the registry had lost some of the released image; it was sent again"
        assert report["warnings"] == [lost]
        assert nights.image() == manifest

        # Somebody removes the image from the release.
        nights.forget(digest)
        report, cell, release = nights.night()
        assert (report["verdict"], cell["state"], release["outcome"]) == ("warnings", "tested", "unchanged")
        assert cell["text"].startswith("the candidate, as the release has lost its image, ")
        [warning] = report["warnings"]
        assert warning.startswith("1.38.0 static was mended: x86_64's image is not whole: ")
        assert digest in warning
        assert nights.image() == manifest
        lose(folder, digest)

    # Nobody is there: the one line is of the registry, and no later night takes it for the cell's fault.
    report, cell, release = nights.night(code=1)
    assert (report["verdict"], cell["state"], release["outcome"]) == ("failed", "failed", "failed")
    assert cell["text"].startswith(f"{nights.place}/x86_64: blob ")
    assert cell["text"].endswith(": connection refused")
    assert release["reason"] == f"{nights.place}: manifest 1.38.0: connection refused"

    with running_registry(folder, port=port):
        # It is back, without the image's manifest.
        report, cell, release = nights.night()
        assert (report["warnings"], cell["state"], release["outcome"]) == ([lost], "tested", "unchanged")
        assert nights.image() == manifest
        report, cell, release = nights.night()
        assert (report["verdict"], cell["state"], release["index"]) == ("good", "tested", index)
    assert nights.steps().count("compile") == 1
