"""`PublishChanged`: a release at night, where there is something new to release."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.cancel import CancelledError
from minios_steps.core.errors import ImageError, MiniosError
from minios_steps.core.nightly.standing import Standing, check_images, standing
from minios_steps.core.oci import media
from minios_steps.core.release import ReleaseReport
from minios_steps.core.version import Version
from minios_steps.publish_manifest import PublishManifest

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project
    from minios_steps.core.registry.connect import Connection


class PublishChanged(PublishManifest):
    """Do what `PublishManifest` does, unless the release has every good image already, and is whole.

    An arch that is missing tonight stays as it is released: a worker that is away for a night must
    not take its CPU out of an image that people use.
    """

    def __init__(self, *, project: Project, **kwargs: Any) -> None:
        policy = project.minios.policy.model_copy(update={"carry_over": True})
        minios = project.minios.model_copy(update={"policy": policy})
        super().__init__(project=dataclasses.replace(project, minios=minios), **kwargs)

    async def work(self) -> int:
        """Look first."""
        lacking = ""
        try:
            now = await self.connected(self._look)
        except CancelledError:
            raise
        except ImageError as error:
            # Releasing tells it, and mends it where that is possible.
            now, lacking = None, error.what
        except MiniosError as error:
            # A registry that stays away was waited for by now.
            return await self.conclude(self.failed(error))
        if now is None or not now.settles(self.project, self.mine(self.cells())):
            result = await super().work()
            *before, report = self.getProperty("releases")
            self.setProperty("releases", [*before, {**report, "lacked": lacking}], self.name)
            return result
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
        store = self.released(connection)
        found = standing(store, self.project, version, self.variant)
        docker = connection is not None and connection.destination.format == "docker"
        wanted = media.DOCKER_INDEX if docker else media.INDEX
        if found is None or found.index.media_type != wanted:
            return None
        check_images(store, found)
        return found
