"""Night after night into a real registry, by one master that stays: it loses images, and it goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from minios_master.settings import free_port
from nightrig import REPOSITORY, WRITES, Nights, asked_since
from registryrig import running_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def lose(folder: Path, digest: str) -> None:
    """Remove a blob or manifest from a registry's storage."""
    [path] = folder.glob(f"data/docker/registry/v2/blobs/sha256/*/{digest.removeprefix('sha256:')}/data")
    path.unlink()


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
