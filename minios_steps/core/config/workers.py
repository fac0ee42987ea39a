"""The model of `config/workers.yaml`: who compiles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from minios_steps.core.config.base import Model, Name


class LocalWorkers(Model):
    """Workers inside the master's process.

    `arches`: `auto` (every arch this machine can compile for) or a list of names.
    `jobs`: `make -j` of each, 0 for the number of cores. `parallel`: how many cells
    compile at once on this machine.
    """

    arches: Literal["auto"] | tuple[Name, ...] = "auto"
    jobs: Annotated[int, Field(ge=0, le=1024)] = 0
    parallel: Annotated[int, Field(ge=1, le=64)] = 2


class Workers(Model):
    """The whole of `workers.yaml`."""

    local: LocalWorkers = LocalWorkers()
