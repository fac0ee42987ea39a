"""Tags that the configuration says never move, once they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .output import CliContext
    from .stores import Place


def immutable_tags(context: CliContext, place: Place) -> Callable[[str], bool]:
    """Whether a tag is immutable in a store: in the repository that the configuration releases to.

    Raises:
        ConfigError: the configuration is wrong.
    """
    if place.kind != "repository":
        return lambda _: False
    # The models cost more than all the rest of these commands.
    from minios_steps.core.config.destination import RegistryDestination  # noqa: PLC0415
    from minios_steps.core.config.load import load_project  # noqa: PLC0415
    from minios_steps.core.tags import fits  # noqa: PLC0415

    destination = load_project(context.config).minios.destination
    if not isinstance(destination, RegistryDestination):
        return lambda _: False
    if f"{destination.host}/{destination.path}" != place.name:
        return lambda _: False
    return lambda tag: any(fits(pattern, tag) for pattern in destination.immutable)
