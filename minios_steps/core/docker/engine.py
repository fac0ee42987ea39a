"""What a worker's Docker engine and command line are, and which flags they take."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from minios_steps.core.errors import MiniosError
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

Numbers = tuple[int, ...]
"""A version's leading numbers, such as `(20, 10, 24)`."""

_LEADING = re.compile(r"v?(\d{1,6}(?:\.\d{1,6})*)")
_BUILDX = re.compile(r"^\S*buildx\S* v(\d[\w.+-]*)", re.MULTILINE)
_MAX_TEXT = 80


class DockerError(MiniosError):
    """A Docker engine is missing, refuses, or made something else than it was asked for."""


@dataclass(frozen=True)
class Since:
    """From when on a flag is taken by everyone.

    Args:
        cli: the command line's version.
        experimental: an engine with experimental features takes it before that too.
    """

    cli: Numbers
    experimental: bool = False


FLAGS = {
    # docker/cli, AddPlatformFlag in cli/command/utils.go and cli/command/image/build.go:
    # "experimental" until 19.03, where only BuildKit goes without.
    "--platform": Since((20, 10), experimental=True),
}
"""The flags of `docker` that 18.09 does not always take; all others used here are older."""

BUILDX_FLAGS = {"--provenance": (0, 10), "--sbom": (0, 10)}
"""The flags of `docker buildx build` that came later than buildx itself, and with which version."""

_BUILDX_API = (1, 41)


@dataclass(frozen=True)
class Engine:
    """A Docker engine and the command line that speaks to it.

    `cli` is the command line's version, `version` the engine's own text, `api` what the two agreed
    on; `platform` what the engine runs on; `buildx` the plug-in's version, None without one.
    """

    cli: Numbers
    version: str
    api: Numbers
    platform: Platform
    experimental: bool = False
    buildx: Numbers | None = None

    @property
    def builder(self) -> Literal["legacy", "buildx"]:
        """What builds: buildx where it is, with an engine that it can speak to."""
        return "buildx" if self.buildx and self.api >= _BUILDX_API else "legacy"

    @property
    def takes_platform(self) -> bool:
        """Whether `build`, `create` and `run` take `--platform`."""
        since = FLAGS["--platform"]
        return self.cli >= since.cli or (since.experimental and self.experimental)

    def must_build_for(self, platform: Platform) -> None:
        """Make sure that it can be asked for an image of a platform.

        Raises:
            DockerError: only `--platform` would do it, and this engine does not take that.
        """
        native = (self.platform.os, self.platform.architecture) == (platform.os, platform.architecture)
        if native or self.takes_platform or self.builder == "buildx":
            return
        raise DockerError(
            f"Docker {self.version} on {self.platform} does not build for {platform}: it takes --platform"
            " only with experimental features",
            hint="use Docker 20.10 or later, a worker of this CPU, or the backend oci",
        )


VERSION_COMMAND: Sequence[str] = ("docker", "version", "--format", "{{json .}}")
BUILDX_COMMAND: Sequence[str] = ("docker", "buildx", "version")


def parse_engine(version: str, buildx: str = "") -> Engine:
    """Read what `docker version` printed, and what `docker buildx version` did where that worked.

    Raises:
        DockerError: no engine answered, or this is something else.
    """
    told = last_json(version)
    client, server = (told.get(key) if isinstance(told, dict) else None for key in ("Client", "Server"))
    if not isinstance(client, dict) or not isinstance(server, dict):
        raise DockerError("the Docker engine does not answer: `docker version` names no server")
    found = _BUILDX.search(buildx)
    return Engine(
        cli=_numbers(_text(client, "Version")),
        version=_text(server, "Version"),
        api=_numbers(_text(client, "ApiVersion") or _text(server, "ApiVersion")),
        platform=Platform(_text(server, "Os") or "linux", _text(server, "Arch") or "unknown"),
        experimental=server.get("Experimental") is True,
        buildx=_numbers(found[1]) if found else None,
    )


def last_json(text: str) -> Any:
    """The JSON in the last line that has any; None without one. Docker prints warnings around it."""
    for line in reversed(text.strip().splitlines()):
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            continue
    return None


def _numbers(text: str) -> Numbers:
    match = _LEADING.match(text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return value[:_MAX_TEXT] if isinstance(value, str) and value.isprintable() else ""
