"""`SmokePublished`: the image that is released is fetched, verified, and really run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import WARNINGS

from minios_steps.core.candidates import CandidateStore, CellRecord
from minios_steps.core.errors import MiniosError
from minios_steps.core.nightly.retest import Retest, fetch_image, retest_checks
from minios_steps.core.nightly.standing import standing
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.version import Version
from minios_steps.registry_step import RegistryStep
from minios_steps.smoke_test import SmokeTest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.registry.connect import Connection


class SmokePublished(RegistryStep, SmokeTest):
    """Run the smoke test of a cell that was reused on the image that users get.

    It is fetched from the release by its digest, and each of its bytes is verified. An image that is
    in no release (a candidate's, or one whose release was blocked) is fetched from where candidates
    are. Nothing is written there.

    Args:
        project: the configuration.
        version: the release; may be a renderable.
        store: the candidate store's folder.
        layout: the OCI image layout that releases are in, where there is no `registry`.
        work_root: the master's scratch folder.

    Reads the property `candidate`. Checks that were skipped when it was built are skipped again. Sets
    the property `retested`, one line.
    """

    name = "retest"
    renderables = ("version", "variant")

    def __init__(
        self,
        *,
        project: Project,
        version: Any,
        store: Path,
        layout: Path | None = None,
        work_root: Path,
        **kwargs: Any,
    ) -> None:
        super().__init__(registry_root=project.root, **kwargs)
        self.project = project
        self.version = version
        self.store = store
        self.layout = layout
        self.work_root = work_root

    async def work(self) -> int:
        """Fetch, verify, run."""
        record = CellRecord.from_json(self.getProperty("candidate"))
        if not self.can_run():
            self.setProperty("retested", self.summary, self.name)
            return int(WARNINGS)
        image, where = await self.in_thread(self._fetch, record, await self.connector())
        layer = self.scratch(self.work_root, fresh=True) / "layer.tar.gz"
        await self.in_thread(layer.write_bytes, image.layer)
        self.tell(f"{where} {record.descriptor.digest.short} is verified")
        results = await self.run_checks(layer, retest_checks(image.applets, record.smoke), image.interpreter)
        result = self.tell_results(results, f"{where} {record.descriptor.digest.short}: ")
        self.setProperty("retested", self.summary, self.name)
        return result

    def _fetch(self, record: CellRecord, connector: Callable[[], Connection] | None) -> tuple[Retest, str]:
        if connector is None:
            if self.layout is None:
                raise MiniosError("SmokePublished has neither a layout nor a registry")
            candidates = CandidateStore(self.store).layout
            return self._read(record, LayoutStore(Layout(self.layout)), candidates)
        with connector() as connection:
            return self._read(record, connection.release, connection.staging(self.arch.name))

    def _read(self, record: CellRecord, released: ImageStore, candidates: BlobSource) -> tuple[Retest, str]:
        descriptor = record.descriptor
        now = standing(released, self.project, Version.parse(str(self.version)), self.variant)
        is_released = now is not None and now.has(self.arch.name, descriptor.digest)
        source = released if is_released else candidates
        image = fetch_image(source, descriptor, self.arch, record)
        return image, "the released image" if is_released else "the candidate, in no release yet,"
