"""Every command line, and that the oldest engines take it."""

from __future__ import annotations

import re

import pytest
from docker1809 import EXPERIMENTAL, FLAGS

from minios_steps.core.docker.commands import (
    Commands,
    Names,
    build_name,
    clean_script,
    environment,
    owner_of,
)
from minios_steps.core.docker.engine import VERSION_COMMAND, DockerError, Engine
from minios_steps.core.platform import Platform

NAMES = Names("0123456789abcdef", "aarch64-7-deadbeef")
ARM64 = Platform("linux", "arm64", "v8")
SW64 = Platform("linux", "sw64")
NEW = Engine((20, 10, 24), "20.10.24", (1, 41), Platform("linux", "amd64"))
OLD = Engine((18, 9, 0), "18.09.0", (1, 39), SW64)
IMAGE = "minios-build:aarch64-7-deadbeef"
COPY = ["--name", "minios-build-aarch64-7-deadbeef-copy", "--label", "org.minios.owner=0123456789abcdef"]


def test_legacy_build_names_the_platform() -> None:
    assert Commands(NEW, NAMES, ARM64).build == [
        *("docker", "build", "--force-rm", "--no-cache"),
        *("--platform", "linux/arm64/v8", "--tag", IMAGE, "."),
    ]


@pytest.mark.parametrize(
    ("version", "more"), [((0, 12, 1), ["--provenance=false", "--sbom=false"]), ((0, 9, 1), [])]
)
def test_buildx_makes_one_image_and_loads_it(version: tuple[int, ...], more: list[str]) -> None:
    engine = Engine((28, 2, 2), "28.2.2", (1, 50), Platform("linux", "amd64"), buildx=version)
    assert Commands(engine, NAMES, ARM64).build == [
        *("docker", "buildx", "build", "--load", "--progress", "plain", *more, "--no-cache"),
        *("--platform", "linux/arm64/v8", "--tag", IMAGE, "."),
    ]
    assert environment(engine)["DOCKER_BUILDKIT"] == "1"


def test_old_engine_builds_without_the_platform() -> None:
    assert "--platform" not in Commands(OLD, NAMES, SW64).build
    with pytest.raises(DockerError, match="does not build for linux/arm64/v8"):
        _ = Commands(OLD, NAMES, ARM64).build


def test_environment_cannot_change_what_is_asked_for() -> None:
    assert environment(NEW) == {
        "DOCKER_BUILDKIT": "0",
        "DOCKER_CONTENT_TRUST": None,
        "DOCKER_DEFAULT_PLATFORM": None,
    }


def test_container_to_copy_from() -> None:
    docker = Commands(NEW, NAMES, ARM64)
    platform = ["--platform", "linux/arm64/v8"]
    assert docker.create == [
        *("docker", "create", *COPY, "--network", "none", *platform, IMAGE, "/bin/busybox")
    ]
    assert docker.copy_out == f"docker cp {COPY[1]}:/bin/busybox - > busybox.tar"


def test_container_of_the_checks_may_do_little() -> None:
    docker = Commands(OLD, NAMES, SW64)
    assert docker.keep(["tar", "sed"]) == [
        *("docker", "run", "--detach", "--rm", "--interactive"),
        *("--name", "minios-build-aarch64-7-deadbeef-smoke", *COPY[2:], "--network", "none"),
        *("--read-only", "--cap-drop", "ALL", "--tmpfs", "/smoke/tar", "--tmpfs", "/smoke/sed"),
        *(IMAGE, "/bin/busybox", "sh"),
    ]
    assert docker.enter("tar") == [
        *("docker", "exec", "--workdir", "/smoke/tar", "--env", "BB=/bin/busybox", "--env", "LC_ALL=C"),
        *("minios-build-aarch64-7-deadbeef-smoke", "/bin/busybox", "sh", "-c"),
    ]


def flags_of(command: list[str]) -> tuple[str, set[str]]:
    """The sub-command and its flags, up to the image, container or program."""
    assert command[0] == "docker"
    name = " ".join(command[1:3]) if command[1] == "image" else command[1]
    flags = set()
    for word in command[2:]:
        if word in (IMAGE, "minios-build-aarch64-7-deadbeef-smoke"):
            # `--tag` has the image's name as its value; what follows it is no flag either.
            break
        if word.startswith("--"):
            flags.add(word.removeprefix("--").partition("=")[0])
    return name, flags


@pytest.mark.parametrize("experimental", [False, True])
def test_old_engines_take_every_flag(experimental: bool) -> None:  # noqa: FBT001
    engine = Engine((18, 9, 0), "18.09.0", (1, 39), SW64, experimental)
    docker = Commands(engine, NAMES, SW64)
    commands = [
        *(list(VERSION_COMMAND), docker.build, docker.inspect, docker.create, docker.trial),
        *(docker.keep(["tar"]), docker.enter("tar"), docker.tag("r/x:y"), docker.push("r/x:y")),
        docker.copy_out.split(),
    ]
    for line in clean_script(NAMES).splitlines():
        commands += [found.split() for found in re.findall(r"(docker [^|)]*)", line)]
    seen = set()
    for command in commands:
        name, flags = flags_of(command)
        seen.add(name)
        assert flags <= FLAGS[name], command
        assert experimental or not flags & EXPERIMENTAL, command
    assert seen == {
        *("version", "build", "image inspect", "create", "run", "exec", "tag", "push", "cp"),
        *("ps", "rm", "images", "rmi"),
    }


def test_only_what_is_ours_is_removed() -> None:
    script = clean_script(NAMES)
    assert script.count(f"--filter label={NAMES.label}") == 2
    assert "prune" not in script


def test_owners_differ_and_stay() -> None:
    one = owner_of("host:/master", "aarch64", "local-aarch64", "/w")
    assert one == owner_of("host:/master", "aarch64", "local-aarch64", "/w")
    assert one != owner_of("host:/other", "aarch64", "local-aarch64", "/w")
    assert re.fullmatch("[0-9a-f]{16}", one)


def test_builds_name() -> None:
    assert build_name("aarch64", 7, "deadbeef") == NAMES.build
    with pytest.raises(DockerError, match="too long"):
        build_name("x" * 128, 7, "deadbeef")
