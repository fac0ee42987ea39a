"""What an engine says of an image that it has built."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.docker.engine import DockerError
from minios_steps.core.errors import ImageError
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_UNASKED = (
    *("Entrypoint", "ExposedPorts", "Healthcheck", "OnBuild", "Shell", "StopSignal", "User", "Volumes"),
    "WorkingDir",
)


def check_built(inspected: str, wanted: Platform) -> Digest:
    """Refuse an image that is not for the platform it was built for.

    Args:
        inspected: what `docker image inspect` printed.
        wanted: the platform.

    Returns:
        The image's id, the digest of its config.

    Raises:
        DockerError: it is for another one, or this is not the engine's answer.
    """
    try:
        [told] = json.loads(inspected)
        # Engines before 20.10 name no variant.
        found = Platform(*(str(told.get(key) or "") for key in ("Os", "Architecture", "Variant")))
        built = Digest.parse(told["Id"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ImageError) as error:
        raise DockerError(
            "the engine does not say what it built: not the answer of `docker image inspect`",
            details=str(error),
        ) from error
    if found.normalised != wanted.normalised:
        raise DockerError(
            f"the engine built an image for {found}, expected {wanted}",
            hint="use Docker 20.10 or later, or a worker of this CPU",
        )
    return built


def check_config(
    config: Mapping[str, Any], *, command: Sequence[str], labels: Mapping[str, str], path: str
) -> None:
    """Refuse an image that starts something else than it was made to start.

    Args:
        config: the image's config, in JSON form (image-spec, config.md).
        command: the default command.
        labels: its labels, all of them.
        path: the `PATH` of its environment.

    Raises:
        ImageError: one of them differs, or something is set that was not asked for.
    """
    told = config.get("config")
    if not isinstance(told, dict):
        raise ImageError("config: no execution parameters")
    expected = {"Cmd": list(command), "Env": [f"PATH={path}"], "Labels": dict(labels)}
    for key, value in expected.items():
        if told.get(key) != value:
            raise ImageError(f"config: {key} is {told.get(key)!r:.120}, expected {value!r:.120}")
    # BuildKit writes the root as the working folder, which is the default.
    for key in _UNASKED:
        if told.get(key) and (key, told[key]) != ("WorkingDir", "/"):
            raise ImageError(f"config: {key} is {told[key]!r:.120}, which was not asked for")
