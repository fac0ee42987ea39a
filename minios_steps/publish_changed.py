"""`PublishChanged`: a release at night, where there is something new to release."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.errors import MiniosError
from minios_steps.core.nightly.standing import Standing, standing
from minios_steps.core.oci import media
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.policy import CellResult
from minios_steps.core.release import ReleaseReport
from minios_steps.core.version import Version
from minios_steps.publish_manifest import PublishManifest

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self._connector: Callable[[], Connection] | None = None
        self._connector_made = False

    async def work(self) -> int:
        """Look first."""
        cells = [CellResult.from_json(item) for item in self.getProperty("cells", [])]
        mine = [c for c in cells if c.version == str(self.version) and c.variant == self.variant]
        try:
            now = await self.in_thread(self._look, await self.connector())
        except MiniosError:
            # Whatever is wrong there, releasing tells it, and mends it where that is possible.
            self.raise_if_stopped()
            now = None
        if now is None or not now.settles(self.project, mine):
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

    async def connector(self) -> Callable[[], Connection] | None:
        """As `RegistryStep.connector`; made once, as the step asks twice."""
        if not self._connector_made:
            self._connector = await super().connector()
            self._connector_made = True
        return self._connector

    def _look(self, connector: Callable[[], Connection] | None) -> Standing | None:
        version = Version.parse(str(self.version))
        if connector is None:
            store = LayoutStore(Layout(self.layout)) if self.layout else None
            found = standing(store, self.project, version, self.variant) if store else None
            wanted = media.INDEX
        else:
            with connector() as connection:
                found = standing(connection.release, self.project, version, self.variant)
                docker = connection.destination.format == "docker"
            wanted = media.DOCKER_INDEX if docker else media.INDEX
        return found if found and found.index.media_type == wanted else None
