"""The command lines of one build on one Docker engine, as argument lists.

Every name in them is of this build only, and everything that is made carries its owner's label, so
builds on one engine do not meet, and what a killed one left is found.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.docker.engine import BUILDX_FLAGS, DockerError, Engine
from minios_steps.core.oci import annotations as keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from minios_steps.core.platform import Platform

BUSYBOX = "/bin/busybox"
ROOM = "/smoke"
"""Where a container has an empty folder for each check, in memory."""
PROGRAM_TAR = "busybox.tar"
"""What `copy_out` writes."""
KEYS = "docker-login"
"""The folder of a `config.json` with one registry's password."""

_NO_RIGHTS = ("--network", "none")
_REPOSITORY = "minios-build"
_OWNER_LENGTH = 16
_TAG_LIMIT = 128


@dataclass(frozen=True)
class Names:
    """What a build calls its image and its containers.

    Args:
        owner: whose it is, the same for every build that a builder makes on a worker.
        build: unique on the engine; letters, digits and `. _ -`.
    """

    owner: str
    build: str

    @property
    def image(self) -> str:
        """The image, by a tag of this build's own."""
        return f"{_REPOSITORY}:{self.build}"

    @property
    def label(self) -> str:
        """What images and containers are found by."""
        return f"{keys.OWNER}={self.owner}"

    def container(self, use: str) -> str:
        """A container, by what it is for."""
        return f"{_REPOSITORY}-{self.build}-{use}"


def owner_of(*parts: str) -> str:
    """The owner's label from what tells masters, builders and workers apart."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_OWNER_LENGTH]


def build_name(builder: str, number: int, nonce: str) -> str:
    """A build's unique name; raises `DockerError` when it would be too long for a tag."""
    name = f"{builder}-{number}-{nonce}"
    if len(name) > _TAG_LIMIT:
        raise DockerError(f"builder {builder!r}: its name is too long for an image's tag")
    return name


def environment(engine: Engine) -> Mapping[str, str | None]:
    """What the commands' environment must have, and what must not be in it."""
    return {
        "DOCKER_BUILDKIT": "1" if engine.builder == "buildx" else "0",
        # Each of these gives a command another meaning.
        "DOCKER_CONTENT_TRUST": None,
        "DOCKER_DEFAULT_PLATFORM": None,
    }


@dataclass(frozen=True)
class Commands:
    """The commands of one build.

    Args:
        engine: the worker's.
        names: of the build.
        platform: what the image is for.
    """

    engine: Engine
    names: Names
    platform: Platform

    @property
    def build(self) -> list[str]:
        """Build the folder it is started in.

        Raises:
            DockerError: the engine cannot be asked for this platform.
        """
        self.engine.must_build_for(self.platform)
        common = ("--no-cache", *self._platform(), "--tag", self.names.image, ".")
        if self.engine.builder == "legacy":
            return ["docker", "build", "--force-rm", *common]
        # Attestations would make an index of what has to be one image.
        plain = (
            f"{flag}=false" for flag, since in BUILDX_FLAGS.items() if (self.engine.buildx or ()) >= since
        )
        return ["docker", "buildx", "build", "--load", "--progress", "plain", *plain, *common]

    @property
    def inspect(self) -> list[str]:
        """Print what the engine knows of the image, as JSON."""
        return ["docker", "image", "inspect", self.names.image]

    @property
    def create(self) -> list[str]:
        """Make a container that is never started, to copy from."""
        return ["docker", "create", *self._container("copy"), *_NO_RIGHTS, *self._image()]

    @property
    def copy_out(self) -> str:
        """Write the program into a tar, for `sh`."""
        return f"docker cp {self.names.container('copy')}:{BUSYBOX} - > {PROGRAM_TAR}"

    @property
    def trial(self) -> list[str]:
        """Start the program once, to see whether this engine can."""
        return ["docker", "run", "--rm", *self._container("trial"), *_NO_RIGHTS, *self._image(), "--list"]

    def keep(self, checks: Iterable[str]) -> list[str]:
        """Start a container that waits, with an empty folder for each check; what it may do is little."""
        folders = (word for name in checks for word in ("--tmpfs", f"{ROOM}/{name}"))
        little = (*_NO_RIGHTS, "--read-only", "--cap-drop", "ALL", *folders)
        # The shell reads from a standard input on which nothing ever comes.
        how = ("--detach", "--rm", "--interactive", *self._container("smoke"))
        return ["docker", "run", *how, *little, *self._image(), "sh"]

    def enter(self, check: str) -> list[str]:
        """Run the text that follows in the waiting container, in the folder of a check."""
        surroundings = ("--workdir", f"{ROOM}/{check}", "--env", f"BB={BUSYBOX}", "--env", "LC_ALL=C")
        return ["docker", "exec", *surroundings, self.names.container("smoke"), BUSYBOX, "sh", "-c"]

    def tag(self, reference: str) -> list[str]:
        """Give the image another name."""
        return ["docker", "tag", self.names.image, reference]

    @staticmethod
    def push(reference: str) -> list[str]:
        """Push by that name."""
        return ["docker", "push", reference]

    def _container(self, use: str) -> tuple[str, ...]:
        return ("--name", self.names.container(use), "--label", self.names.label)

    def _image(self) -> tuple[str, ...]:
        return (*self._platform(run=True), self.names.image, BUSYBOX)

    def _platform(self, *, run: bool = False) -> tuple[str, ...]:
        # Only builds go through buildx, which takes it whatever the engine's age.
        takes = self.engine.takes_platform or (not run and self.engine.builder == "buildx")
        return ("--platform", str(self.platform)) if takes else ()


def clean_script(names: Names) -> str:
    """For `sh`: remove every container and image of the owner, and nothing else; 1 when one stays."""
    ours = f"--quiet --no-trunc --filter label={names.label}"
    return f"""rm -rf {KEYS}
found=$(docker ps --all {ours}) || exit 1
[ -z "$found" ] || docker rm --force --volumes $found || failed=1
found=$(docker images {ours}) || exit 1
[ -z "$found" ] || docker rmi --force $found || failed=1
exit ${{failed:-0}}
"""
