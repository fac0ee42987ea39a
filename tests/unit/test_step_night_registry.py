"""The nightly's steps with a registry: of what is released already they only read."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from buildbot.process.results import FAILURE, SUCCESS
from registrybed import FAST, serving
from registryfaults import status
from registryhouse import REPOSITORY, RegistryHouse
from releasebed import ALL, NEWEST
from smokebed import exchange
from stepbed import StepCase

from minios_steps import registry_step
from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.digest import Digest
from minios_steps.core.nightly.retest import retest_checks
from minios_steps.core.registry.connect import connect
from minios_steps.publish_changed import PublishChanged
from minios_steps.smoke_published import SmokePublished

if TYPE_CHECKING:
    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.cell_result import CellResult

READING = {"GET", "HEAD"}


class AtARegistry(StepCase):
    def setUp(self) -> Any:
        stack = ExitStack()
        self.bed = stack.enter_context(serving())
        self.addCleanup(stack.close)
        self.patch(registry_step, "connect", partial(connect, patience=FAST))
        return super().setUp()

    def released(self) -> list[CellResult]:
        """A release of all arches; what is asked of the registry from here on is the night's."""
        self.house = RegistryHouse(self.folder, self.bed.host)
        cells = self.house.good()
        assert self.house.publish(cells).report.outcome == "released"
        self.bed.seen.clear()
        return cells

    @property
    def destination(self) -> RegistryDestination:
        found = self.house.project.minios.destination
        assert isinstance(found, RegistryDestination)
        return found

    def publish(self, cells: list[CellResult]) -> None:
        self.setup_step(
            PublishChanged(
                project=self.house.project,
                store=self.house.store.root,
                version=str(NEWEST),
                variant="static",
                registry=self.destination,
                name="publish",
            )
        )
        self.set_properties(asked_arches=list(ALL), cells=[one.as_json() for one in cells])

    async def test_nothing_new(self) -> None:
        cells = self.released()
        tags = self.house.tags()
        self.bed.seen.clear()
        self.publish(cells)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        [report] = self.property("releases")
        assert (report["outcome"], report["index"]) == ("unchanged", tags["latest"])
        assert {one.method for one in self.bed.seen} <= READING
        # Three tags, their index, and each image's manifest; of its two blobs only whether they are there.
        assert len(self.bed.seen) == 4 + 3 * len(ALL)
        assert {one.method for one in self.bed.seen if "/blobs/" in one.path} == {"HEAD"}

    async def test_lost_image_is_brought_back(self) -> None:
        cells = self.released()
        tags = self.house.tags()
        lost = cells[0].digest
        del self.bed.repo(REPOSITORY).manifests[lost]
        self.publish(cells)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        [report] = self.property("releases")
        assert (report["outcome"], report["index"]) == ("unchanged", tags["latest"])
        assert report["lacked"].startswith("x86_64's image is not whole: ")
        assert lost in report["lacked"]
        assert self.house.tags() == tags
        assert self.house.check("latest") == tags["latest"]

    async def test_registry_that_is_away_is_waited_for_once(self) -> None:
        cells = self.released()
        for _ in range(50):
            self.bed.fault("HEAD", "/", status(503))
        self.publish(cells)
        self.expect_outcome(FAILURE)
        await self.run_step()
        [report] = self.property("releases")
        assert report["outcome"] == "failed"
        [reason] = report["reasons"]
        assert reason.startswith(f"{self.bed.host}/{REPOSITORY}: manifest 1.38.0: HTTP 503 ")
        assert self.property("problem") == f"1.38.0 static not released: {reason}"
        assert len(self.bed.seen) == FAST.tries

    def retest(self) -> tuple[CellRecord, list[bytes]]:
        """The step, on a released image; its record, and what is going to be sent to the worker."""
        [cell] = [one for one in self.released() if one.arch == "x86_64"]
        record = self.house.store.find(Digest.parse(cell.key))
        assert record
        sent: list[bytes] = []
        self.setup_step(
            SmokePublished(
                project=self.house.project,
                arch=self.house.project.arches["x86_64"],
                version=str(NEWEST),
                variant="static",
                store=self.house.store.root,
                work_root=self.folder / "work",
                registry=self.destination,
            )
        )
        self.set_properties(candidate=record.as_json(), native=True, emulator="")
        self.expect_commands(*exchange(retest_checks(["sh"], []), sent))
        return record, sent

    async def test_image_comes_from_the_release_by_its_digest(self) -> None:
        record, sent = self.retest()
        self.expect_outcome(SUCCESS)
        self.expect_no_property("was_lost")
        await self.run_step()
        assert self.property("retested").startswith(f"the released image {record.descriptor.digest.short}: ")
        assert sent == [self.house.store.layout.read(self.house.store.blobs(record.descriptor)[2], 1 << 20)]
        assert {one.method for one in self.bed.seen} <= READING
        fetched = [one.path for one in self.bed.seen if one.method == "GET" and "sha256:" in one.path]
        # Each thing once, and none from where candidates are.
        assert len(fetched) == len(set(fetched)) > 0
        assert all(path.startswith(f"/v2/{REPOSITORY}/") and "/x86_64/" not in path for path in fetched)

    async def test_image_some_of_which_was_sent_again(self) -> None:
        self.retest()
        self.set_properties(sent_again=True)
        self.expect_outcome(SUCCESS)
        self.expect_property("was_lost", True, "retest")
        await self.run_step()

    async def candidate_is_tested(self, record: CellRecord, sent: list[bytes]) -> None:
        self.set_properties(sent_again=True)
        self.expect_outcome(SUCCESS)
        # The release tells it.
        self.expect_no_property("was_lost")
        await self.run_step()
        told = f"the candidate, as the release has lost its image, {record.descriptor.digest.short}: "
        assert self.property("retested").startswith(told)
        assert len(sent) == 1

    async def test_manifest_that_the_release_has_lost(self) -> None:
        record, sent = self.retest()
        del self.bed.repo(REPOSITORY).manifests[str(record.descriptor.digest)]
        await self.candidate_is_tested(record, sent)

    async def test_layer_that_the_release_has_lost(self) -> None:
        record, sent = self.retest()
        del self.bed.repo(REPOSITORY).blobs[str(self.house.store.blobs(record.descriptor)[2])]
        await self.candidate_is_tested(record, sent)
