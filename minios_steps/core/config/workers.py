"""The model of `config/workers.yaml`: who compiles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from minios_steps.core.config.arch_name import ArchName
from minios_steps.core.config.base import Model, Text


class LocalWorkers(Model):
    """Workers inside the master's process.

    `arches`: `auto` (every arch this machine can compile for) or a list of names.
    `jobs`: `make -j` of each, 0 for the number of cores. `parallel`: how many cells
    compile at once on this machine.
    """

    arches: Literal["auto"] | tuple[ArchName, ...] = "auto"
    jobs: Annotated[int, Field(ge=0, le=1024)] = 0
    parallel: Annotated[int, Field(ge=1, le=64)] = 2


class RemoteWorkers(Model):
    """The gate for workers of other machines; a master that stays (`minios up`) opens it.

    `interface`: the address to listen at, with TLS. `port`: 0 takes a free one, once, and
    keeps it. `address`: the name or address that invites give to workers; empty takes
    `interface`.
    """

    interface: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    address: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_-]*$")] = ""


class Workers(Model):
    """The whole of `workers.yaml`."""

    local: LocalWorkers = LocalWorkers()
    remote: RemoteWorkers = RemoteWorkers()
