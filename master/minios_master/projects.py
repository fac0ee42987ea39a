"""The configuration as a master and the command line see it: with what was discovered since."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from minios_steps.core.config.load import load_project
from minios_steps.core.upstream.discoveries import Discoveries

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project

    from .settings import Settings


def open_project(settings: Settings) -> Project:
    """The configuration of a master, with the discovered releases of its state folder.

    Raises:
        ConfigError: as `load_project`.
    """
    return dataclasses.replace(load_project(settings.config), discoveries=Discoveries(settings.discoveries))
