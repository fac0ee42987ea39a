"""What a worker says of its Docker, in recorded answers of real ones, and what follows from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from minios_steps.core.docker.engine import DockerError, Engine, parse_engine
from minios_steps.core.platform import Platform

ARM64 = Platform("linux", "arm64", "v8")
SW64 = Platform("linux", "sw64")


def answer(cli: str = "20.10.24+dfsg1", server: str = "20.10.24+dfsg1", **more: Any) -> str:
    """`docker version --format '{{json .}}'`, cut to what is read; 20.10 and 28.2 have this form."""
    client = {"Version": cli, "ApiVersion": more.pop("api", "1.41"), "Os": "linux", "Arch": "amd64"}
    told = {"Version": server, "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64", **more}
    return json.dumps({"Client": client, "Server": told}) + "\n"


def old(arch: str = "sw64", **more: Any) -> Engine:
    """As on a Sunway machine; 18.09 writes `Experimental` only where it is true."""
    return parse_engine(answer("18.09.0", "18.09.0", api="1.39", Arch=arch, **more))


def test_debians_engine() -> None:
    engine = parse_engine("WARNING: something\n" + answer())
    assert (engine.cli, engine.version, engine.api) == ((20, 10, 24), "20.10.24+dfsg1", (1, 41))
    assert engine.platform == Platform("linux", "amd64")
    assert engine.takes_platform
    assert engine.builder == "legacy"


# Written by the plug-in's `version` command: package, version, revision.
@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("github.com/docker/buildx v0.12.1 30feaa1a915b869ebc2eea6328624b49facd4bfb\n", (0, 12, 1)),
        ("github.com/docker/buildx v0.9.1-docker 1\n", (0, 9, 1)),
        ("github.com/docker/buildx 0.10.5+dfsg1-1\n", None),
        ("docker: 'buildx' is not a docker command.\n", None),
        ("", None),
    ],
)
def test_buildx(text: str, version: tuple[int, ...] | None) -> None:
    engine = parse_engine(answer(), text)
    assert engine.buildx == version
    assert engine.builder == ("buildx" if version else "legacy")


def test_buildx_with_an_engine_that_is_too_old_for_it() -> None:
    engine = parse_engine(answer("28.2.2", "18.09.0", api="1.39"), "github.com/docker/buildx v0.12.1 1\n")
    assert engine.builder == "legacy"


def test_old_engine_builds_for_itself_only() -> None:
    engine = old()
    assert not engine.takes_platform
    engine.must_build_for(SW64)
    with pytest.raises(DockerError) as caught:
        engine.must_build_for(ARM64)
    assert str(caught.value).startswith("Docker 18.09.0 on linux/sw64 does not build for linux/arm64/v8")
    assert "backend oci" in caught.value.hint


def test_old_engine_with_experimental_features() -> None:
    engine = old(Experimental=True)
    assert engine.takes_platform
    engine.must_build_for(ARM64)


def test_variant_of_a_native_image_is_no_matter() -> None:
    old("arm64").must_build_for(ARM64)


def test_new_command_line_takes_the_platform_to_an_old_engine() -> None:
    assert parse_engine(answer("28.2.2", "18.09.0")).takes_platform


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n",
        '{"Client":{"Version":"20.10.24"},"Server":null}\n',
        '{"Client":{"Version":"20.10.24"}}\n',
        "[1, 2]\n",
        "[" * 100_000,
    ],
)
def test_no_engine(text: str) -> None:
    with pytest.raises(DockerError, match="the Docker engine does not answer"):
        parse_engine(text)


def test_what_is_told_is_bounded() -> None:
    engine = parse_engine(answer(server="9" * 500, Arch="x\x1b[31m", Os=7))
    assert len(engine.version) == 80
    assert engine.platform == Platform("linux", "unknown")
