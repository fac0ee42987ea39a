"""`SmokePublished`: the image that is released is fetched, verified, and really run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import WARNINGS

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_record import CellRecord
from minios_steps.core.errors import MiniosError
from minios_steps.core.nightly.retest import Retest, fetch_image, retest_checks
from minios_steps.core.nightly.standing import lacks_image, standing
from minios_steps.core.version import Version
from minios_steps.release_step import ReleaseStep
from minios_steps.smoke_test import SmokeTest

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.registry.connect import Connection

_RELEASED = "the released image"


class SmokePublished(ReleaseStep, SmokeTest):
    """Run the smoke test of a cell that was reused on the image that users get.

    It is fetched from the release by its digest, and each of its bytes is verified. An image that is
    in no release (a candidate's, or one whose release was blocked), or that the release has lost, is
    fetched from where candidates are. Nothing is written there.

    Args:
        version: the release; may be a renderable.
        work_root: the master's scratch folder.

    Reads the properties `candidate` and `sent_again`. Checks that were skipped when it was built are
    skipped again. Sets the property `retested`, one line, and `was_lost` (true) of a released image some
    of which `PushImage` had to send again.
    """

    name = "retest"
    renderables = ("version", "variant")

    def __init__(self, *, version: Any, work_root: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.work_root = work_root

    async def work(self) -> int:
        """Fetch, verify, run."""
        record = CellRecord.from_json(self.getProperty("candidate"))
        if not self.can_run():
            self.setProperty("retested", self.summary, self.name)
            return int(WARNINGS)
        image, where = await self.connected(self._fetch, record)
        if where == _RELEASED and self.getProperty("sent_again", False):
            self.setProperty("was_lost", True, self.name)
        layer = self.scratch(self.work_root, fresh=True) / "layer.tar.gz"
        await self.in_thread(layer.write_bytes, image.layer)
        self.tell(f"{where} {record.descriptor.digest.short} is verified")
        results = await self.run_checks(layer, retest_checks(image.applets, record.smoke), image.interpreter)
        result = self.tell_results(results, f"{where} {record.descriptor.digest.short}: ")
        self.setProperty("retested", self.summary, self.name)
        return result

    def _fetch(self, connection: Connection | None, record: CellRecord) -> tuple[Retest, str]:
        released, digest = self.released(connection), record.descriptor.digest
        now = standing(released, self.project, Version.parse(str(self.version)), self.variant)
        where = "the candidate, in no release yet,"
        if now is not None and now.has(self.arch.name, digest):
            try:
                return fetch_image(released, record.descriptor, self.arch, record), _RELEASED
            except MiniosError:
                # What is there and damaged must be told: no release mends that.
                if not lacks_image(released, digest):
                    raise
            where = "the candidate, as the release has lost its image,"
        candidates: BlobSource = (
            connection.staging(self.arch.name) if connection else CandidateStore(self.store).layout
        )
        return fetch_image(candidates, record.descriptor, self.arch, record), where
