"""The whole way with both backends: compiled, made, released into a registry, pulled, run, read by others."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from ocirules import all_complaints

from minios_steps.core.registry.client import Registry
from minios_steps.core.registry.endpoint import Endpoint
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from registryrig import RealRegistry
    from userland import Minios

PLATFORMS = {"linux/amd64": "x86_64", "linux/arm64": "aarch64", "linux/riscv64": "riscv64"}
WRITES = ("PUT", "POST", "PATCH", "DELETE")


class Tour:
    """One machine, one engine and one registry, for both backends."""

    def __init__(self, cli: Minios, engine: Any, registry: RealRegistry, folder: Path) -> None:
        self.cli = cli
        self.engine = engine
        self.registry = registry
        self.folder = folder
        (folder / "config.json").write_text("{}", "utf-8")

    def matrix(self, backend: str) -> dict[str, Any]:
        done = self.cli.run("matrix", "--backend", backend, "--registry", self.place(backend), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def place(self, backend: str) -> str:
        return f"{self.registry.host}/team/{backend}"

    def uname(self, name: str, platform: str) -> str:
        """What `docker pull --platform` and `docker run` of a tag say."""
        image = self.engine.images.pull(name, tag="latest", platform=platform)
        try:
            said: bytes = self.engine.containers.run(
                image.id, ["uname", "-m"], platform=platform, remove=True, network_mode="none"
            )
        finally:
            self.engine.images.remove(image.id, force=True)
        return said.decode().strip()

    def run(self, *command: str) -> str:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "DOCKER_CONFIG": str(self.folder)},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout


@pytest.fixture
def tour(
    config_copy: Callable[..., Path],
    minios: Callable[..., Minios],
    docker_host: str,
    engine: Any,
    registry: RealRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Tour:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    cli = minios(config_copy(tiny=True, arches=dict.fromkeys(PLATFORMS.values(), "required")))
    return Tour(cli, engine, registry, tmp_path)


@pytest.mark.usefixtures("binfmt")
def test_both_backends(tour: Tour, need: Callable[..., None]) -> None:
    need("skopeo", "buildah", "docker", root=True)
    before = {image.id for image in tour.engine.images.list(all=True)}
    for backend in ("oci", "docker"):
        told = tour.matrix(backend)
        assert [cell["outcome"] for cell in told["cells"]] == ["published"] * 3
        place = tour.place(backend)
        assert {platform: tour.uname(place, platform) for platform in PLATFORMS} == PLATFORMS

        # The same again: no byte is sent.
        sent = len(tour.registry.asked(*WRITES))
        again = tour.matrix(backend)
        assert [cell["outcome"] for cell in again["cells"]] == ["reused"] * 3
        assert again["releases"][0]["outcome"] == "unchanged"
        assert tour.registry.asked(*WRITES)[sent:] == []

        check_readers(tour, place, told["releases"][0]["index"])
        with Registry(Endpoint(tour.registry.host, plain_http=True)) as client:
            assert all_complaints(RegistryStore(client, f"team/{backend}"), "latest") == []
    assert {image.id for image in tour.engine.images.list(all=True)} == before


def check_readers(tour: Tour, place: str, index: str) -> None:
    """Other people's tools see the three platforms, and can copy them with their digests."""
    name = f"{place}:latest"
    raw = tour.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    entries = json.loads(raw)["manifests"]
    parts = [entry["platform"] for entry in entries]
    assert [f"{part['os']}/{part['architecture']}" for part in parts] == [*PLATFORMS]
    digests = [entry["digest"] for entry in entries]

    told = json.loads(tour.run("docker", "manifest", "inspect", "--insecure", name))
    assert [entry["digest"] for entry in told["manifests"]] == digests

    target = tour.folder / f"copied-{place.rpartition('/')[2]}"
    tour.run(
        *("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false"),
        *(f"docker://{name}", f"oci:{target}:latest"),
    )
    [copied] = json.loads((target / "index.json").read_text("utf-8"))["manifests"]
    assert copied["digest"] == index

    # `buildah manifest inspect` has no other way to be told that a registry speaks http.
    conf = tour.folder / "registries.conf"
    conf.write_text(f'[[registry]]\nlocation = "{tour.registry.host}"\ninsecure = true\n', "utf-8")
    buildah = (
        *("buildah", "--registries-conf", str(conf), "--storage-driver", "vfs"),
        *("--root", f"{tour.folder}/root", "--runroot", f"{tour.folder}/run"),
    )
    told = json.loads(tour.run(*buildah, "manifest", "inspect", name))
    assert [entry["digest"] for entry in told["manifests"]] == digests
    pulled = tour.run(*buildah, "pull", "-q", "--arch", "arm64", "--variant", "v8", f"docker://{name}")
    image = json.loads(tour.run(*buildah, "inspect", "--type", "image", pulled.strip()))
    assert image["FromImageDigest"] == digests[1]
