"""What the steps share that use a worker's Docker engine."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from minios_steps.core.docker.commands import Commands, Names, build_name, clean_script, environment, owner_of
from minios_steps.core.docker.engine import BUILDX_COMMAND, VERSION_COMMAND, DockerError, Engine, parse_engine
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.command_output import CommandOutput
    from minios_steps.core.platform import Platform

WORKDIR = "build/docker"
ENGINE_SECONDS = 60
"""How long an engine may take for something small."""


class DockerStep(MiniosStep):
    """A step that uses the Docker engine of its worker.

    The property `docker_names`, which `BuildImage` sets, has the names that this build's image and
    containers go by.
    """

    default_workdir = WORKDIR

    async def commands(self, platform: Platform) -> Commands:
        """Ask the worker for its engine; raises `DockerError` when none answers."""
        output = await self.command(VERSION_COMMAND, collect=True, timeout=ENGINE_SECONDS, max_lines=2000)
        if output.code:
            raise DockerError(
                f"no Docker engine on worker {self.getProperty('workername')}: {output.last_line}",
                hint="start one there, or use the backend oci, which needs none",
            )
        # Without the plug-in this is a failure like any other, of which nothing needs to be said.
        buildx = await self.command(BUILDX_COMMAND, collect=True, timeout=ENGINE_SECONDS, max_lines=2000)
        engine = parse_engine(output.stdout, "" if buildx.code else buildx.stdout)
        return Commands(engine, self.names(), platform)

    def names(self) -> Names:
        """The names of this build."""
        return Names(**self.getProperty("docker_names"))

    def make_names(self) -> Names:
        """Give this build names of its own, and keep them in the property."""
        builder = str(self.build.builder.name)
        whose = (self.master.name, builder, self.getProperty("workername"), self.getProperty("builddir"))
        owner = owner_of(*(str(part) for part in whose))
        number = int(self.getProperty("buildnumber", 0))
        names = Names(owner, build_name(builder, number, secrets.token_hex(4)))
        self.setProperty("docker_names", {"owner": names.owner, "build": names.build}, self.name)
        return names

    async def docker(
        self, command: Sequence[str] | str, engine: Engine, problem: str, **options: Any
    ) -> CommandOutput:
        """Run a `docker` command; raises `DockerError` with its last line when it fails."""
        output = await self.command(
            ["sh", "-c", command] if isinstance(command, str) else command,
            env={**environment(engine), **options.pop("env", {})},
            collect=True,
            **options,
        )
        if output.code:
            raise DockerError(f"{problem}: {output.last_line}")
        return output

    async def clean(self, names: Names) -> CommandOutput:
        """Remove what the owner of these names has on the engine."""
        return await self.command(["sh", "-c", clean_script(names)], collect=True, max_lines=2000)
