"""The registry that a configuration names, and its repositories as stores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.registry.client import Registry
from minios_steps.core.registry.credentials import Credentials, docker_credentials
from minios_steps.core.registry.endpoint import PATIENCE, Endpoint
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    from minios_steps.core.config.destination import RegistryDestination
    from minios_steps.core.web.patience import Patience


@dataclass(frozen=True)
class Connection:
    """An open registry, and where things are on it.

    Args:
        registry: what is open.
        destination: names the repositories.
    """

    registry: Registry
    destination: RegistryDestination

    @property
    def release(self) -> RegistryStore:
        """The repository that releases are in."""
        return RegistryStore(self.registry, self.destination.path)

    def staging(self, arch: str) -> RegistryStore:
        """The repository of an arch's candidates."""
        return RegistryStore(self.registry, self.destination.staging_of(arch))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.registry.close()


def connect(
    destination: RegistryDestination,
    root: Path,
    *,
    password: str = "",
    cancelled: Callable[[], bool] = never,
    report: Callable[[str], None] = lambda _: None,
    patience: Patience = PATIENCE,
) -> Connection:
    """Get ready to speak to a destination; nothing is sent yet.

    Args:
        destination: the registry and its repositories.
        root: the configuration folder, for the file of authorities.
        password: of `destination.username`; without a user name what `docker login` left for
            this process's user is taken.
        cancelled: asked often, from the calling thread.
        report: called with lines for people, such as why something is tried again.
        patience: bounds for waiting and trying again.

    Raises:
        RegistryError: the credentials or the authorities cannot be read.
    """
    endpoint = Endpoint(
        destination.host,
        plain_http=destination.speaks_http,
        ca=root / destination.ca if destination.ca else None,
        patience=patience,
    )
    if destination.username:
        credentials: Credentials | None = Credentials(destination.username, password)
    else:
        credentials = docker_credentials(destination.host, os.environ)
    return Connection(Registry(endpoint, credentials, cancelled=cancelled, report=report), destination)
