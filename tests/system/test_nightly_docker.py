"""Night after night of an image that a real Docker engine makes: it is built once, and tested by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nightrig import REPOSITORY, WRITES, Nights, asked_since
from registryrig import running_registry
from userland import replace_block

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_nights_of_an_engine(
    config_copy: Any,
    minios: Any,
    docker_host: str,
    engine: Any,
    need: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    need("docker-registry")
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    config = config_copy(tiny=True, arches={"x86_64": "required"})
    for path in (config / "arches").glob("*.yaml"):
        if path.stem != "x86_64":
            path.unlink()
    with (config / "arches" / "x86_64.yaml").open("a", encoding="utf-8") as stream:
        stream.write("backend: docker\n")
    before = len(engine.images.list(all=True))
    with running_registry(tmp_path / "registry") as registry:
        place = f"{{kind: registry, repository: {registry.host}/{REPOSITORY}}}"
        replace_block(config / "minios.yaml", "destination", f"destination: {place}\n")
        nights = Nights(minios(config), registry.host)
        report, cell, release = nights.night()
        assert (report["verdict"], cell["state"], release["outcome"]) == ("good", "changed", "released")
        assert nights.steps().count("smoke-image") == 1
        manifest = nights.image()

        # The registry has it: the engine is not asked to build, nobody sends, and it is run by itself.
        start = len(registry.asked())
        report, cell, release = nights.night()
        assert (report["verdict"], cell["state"], release["outcome"]) == ("good", "tested", "unchanged")
        assert "checks passed natively" in cell["text"]
        assert asked_since(registry, start, *WRITES) == []
        assert nights.image() == manifest
        assert nights.steps().count("smoke-image") == nights.steps().count("compile") == 1
    assert len(engine.images.list(all=True)) == before
