"""`PublishChanged`: a release at night, where there is something new to release."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.errors import MiniosError
from minios_steps.core.nightly.standing import Standing, standing
from minios_steps.core.oci import media
from minios_steps.core.release import ReleaseReport
from minios_steps.core.version import Version
from minios_steps.publish_manifest import PublishManifest

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project
    from minios_steps.core.registry.connect import Connection


class PublishChanged(PublishManifest):
    """Do what `PublishManifest` does, unless the release has every good image already.

    An arch that is missing tonight stays as it is released: a worker that is away for a night must
    not take its CPU out of an image that people use.
    """

    def __init__(self, *, project: Project, **kwargs: Any) -> None:
        policy = project.minios.policy.model_copy(update={"carry_over": True})
        minios = project.minios.model_copy(update={"policy": policy})
        super().__init__(project=dataclasses.replace(project, minios=minios), **kwargs)

    async def work(self) -> int:
        """Look first."""
        try:
            now = await self.connected(self._look)
        except MiniosError:
            # Whatever is wrong there, releasing tells it, and mends it where that is possible.
            self.raise_if_stopped()
            now = None
        if now is None or not now.settles(self.project, self.mine(self.cells())):
            return await super().work()
        report = ReleaseReport(
            version=str(self.version),
            variant=self.variant,
            outcome="unchanged",
            tags=now.tags,
            index=str(now.index.digest),
            reasons=(),
            left_out={},
            carried=(),
        )
        self.setProperty("releases", [*self.getProperty("releases", []), report.as_json()], self.name)
        self.summary = f"{self.version} {self.variant}: nothing new, it stays {now.index.digest.short}"
        return int(SUCCESS)

    def _look(self, connection: Connection | None) -> Standing | None:
        version = Version.parse(str(self.version))
        found = standing(self.released(connection), self.project, version, self.variant)
        docker = connection is not None and connection.destination.format == "docker"
        wanted = media.DOCKER_INDEX if docker else media.INDEX
        return found if found and found.index.media_type == wanted else None
