"""Where a master's releases go: as its settings say, else as configured."""

from __future__ import annotations

import dataclasses
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.errors import ConfigError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.store import ImageStore

    from .settings import Settings


@dataclass(frozen=True)
class Place:
    """One of the two is not None."""

    layout: Path | None
    registry: RegistryDestination | None

    @property
    def name(self) -> str:
        """What people read before a tag: `oci:out/minios`, `registry.example:5000/team/minios`."""
        if self.registry:
            return self.registry.repository
        shown = os.path.relpath(self.layout) if self.layout else ""
        return f"oci:{shown if not shown.startswith('..') else self.layout}"

    @property
    def target(self) -> str:
        """An absolute path, or a repository: what two masters' places are compared by."""
        return self.registry.repository if self.registry else str(self.layout)


def place_of(project: Project, settings: Settings, home: Path) -> Place:
    """Where releases go.

    Args:
        project: the configuration.
        settings: a layout or a registry there wins.
        home: the folder that a configured layout's path is relative to.

    Raises:
        ConfigError: both are there, or what should be a repository is none.
    """
    configured = project.minios.destination
    if settings.registry:
        if settings.out:
            raise ConfigError("a layout (--out) and a registry (--registry): releases go to one of them")
        return Place(None, _registry(configured, settings.registry, plain_http=settings.plain_http))
    if settings.plain_http:
        raise ConfigError("--plain-http is for a registry: name it with --registry HOST:PORT/REPO")
    if settings.out:
        return Place(settings.out, None)
    if isinstance(configured, RegistryDestination):
        return Place(None, configured)
    return Place((home / configured.path).resolve(), None)


def settled(settings: Settings, place: Place) -> Settings:
    """Settings that say the place themselves, whatever folder they are read in."""
    if place.registry is None:
        return dataclasses.replace(settings, out=place.layout)
    found = place.registry
    return dataclasses.replace(settings, registry=found.repository, plain_http=found.plain_http)


@contextmanager
def released_store(place: Place, project: Project, settings: Settings) -> Iterator[ImageStore]:
    """Open what releases were written to, to read them.

    Args:
        place: as `place_of` gives it.
        project: its folder is what a file of authorities is relative to.
        settings: their secrets have a registry's password.

    Raises:
        MiniosError: the password or the authorities cannot be read.
    """
    if place.registry is None:
        yield LayoutStore(Layout(place.layout or Path()))
        return
    # Layouts do without, and it takes a while to import.
    from minios_steps.core.registry.connect import connect  # noqa: PLC0415

    password = _password(settings.secrets / place.registry.password_secret) if place.registry.username else ""
    with connect(place.registry, project.root, password=password) as connection:
        yield connection.release


def _password(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"the registry's password: {path} cannot be read: {error.strerror}") from error


def _registry(configured: object, repository: str, *, plain_http: bool) -> RegistryDestination:
    try:
        if isinstance(configured, RegistryDestination):
            return configured.moved_to(repository, plain_http=plain_http)
        return RegistryDestination(kind="registry", repository=repository, plain_http=plain_http)
    except ValidationError as error:
        told = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"--registry {told}") from error
