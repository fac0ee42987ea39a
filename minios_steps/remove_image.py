"""`RemoveImage`: nothing of a build stays on the worker's Docker engine."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import SUCCESS, WARNINGS

from minios_steps.docker_step import DockerStep


class RemoveImage(DockerStep):
    """Remove the image and the containers that this build made, and the password it was lent.

    It runs however the build ended, cancelled ones too. What is left when the worker or the master
    dies is removed by the next `BuildImage` of the same builder on the same worker. WARNINGS when
    something stays. Needs the property `docker_names`.
    """

    name = "remove"
    haltOnFailure = False
    flunkOnFailure = False

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("alwaysRun", True)
        super().__init__(**kwargs)

    async def work(self) -> int:
        """Remove by the owner's label."""
        output = await self.clean(self.names())
        if output.code:
            self.summary = f"something stays on the Docker engine: {output.last_line}"
            return int(WARNINGS)
        self.summary = "nothing stays on the Docker engine"
        return int(SUCCESS)
