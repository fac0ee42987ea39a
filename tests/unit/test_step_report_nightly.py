"""`ReportNightly`: the night's one report, wherever it has to go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED, FAILURE, SKIPPED, SUCCESS, WARNINGS
from buildbot.test import fakedb
from nightlybed import BUILD, TESTED, bad, good, named, released
from releasebed import make_project
from stepbed import StepCase

from minios_steps import report_nightly
from minios_steps.core.nightly.files import ReportFiles
from minios_steps.core.nightly.judge import CellFacts
from minios_steps.core.nightly.report import NightlyReport
from minios_steps.nightly_memory import load_memory
from minios_steps.report_nightly import ReportNightly

if TYPE_CHECKING:
    from minios_steps.core.cell_result import CellResult

SINCE = "2026-01-01T00:00:00+00:00"


class Reporting(StepCase):
    def report(self, *cells: CellResult, away: dict[str, str] | None = None, **properties: Any) -> Any:
        """The last step of a night; cells that were reused were tested."""

        async def since(_master: Any) -> dict[str, str]:
            return away or {}

        self.files = ReportFiles(self.folder / "nightly")
        step = self.setup_step(
            ReportNightly(
                project=make_project(self.folder / "config"),
                folder=self.files.folder,
                away=since,
                placeholders=["sw64-unattached"],
            )
        )
        self.build.results = SUCCESS
        self.patch(report_nightly, "getURLForBuild", lambda *_: f"{BUILD}1")
        facts = {named(one): CellFacts(retested=TESTED).as_json() for one in cells if one.outcome == "reused"}
        told = {"cell_facts": facts, "releases": [released()], **properties}
        if cells:
            told["cells"] = [one.as_json() for one in cells]
        self.set_properties(**told)
        return step

    async def workers(self, **connected: bool) -> None:
        """Configured workers, connected or not."""
        rows: list[Any] = [
            fakedb.Builder(id=500, name="x86_64"),
            fakedb.BuilderMaster(id=600, builderid=500, masterid=self.master.masterid),
        ]
        for number, name in enumerate(connected, 700):
            rows += [
                fakedb.Worker(id=number, name=name.replace("_", "-")),
                fakedb.ConfiguredWorker(id=number, buildermasterid=600, workerid=number),
            ]
        await self.master.db.insert_test_data(rows)
        for number, there in enumerate(connected.values(), 700):
            if there:
                await self.master.data.updates.workerConnected(number, self.master.masterid, {})

    def told(self) -> NightlyReport:
        """The report, which is the same everywhere."""
        found = NightlyReport.from_json(self.property("nightly_report"))
        assert self.files.read() == found
        assert self.log_text("report") == (self.files.folder / "report.txt").read_text("utf-8")
        return found

    async def test_good(self) -> None:
        self.report(good())
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.told().verdict == "good"
        assert self.get_nth_step(0).summary.endswith("UTC: 1 unchanged and tested again")
        assert (await load_memory(self.master)).known["x86_64 1.38.0 static"].size == 1000

    async def test_failed(self) -> None:
        self.report(bad(), good("aarch64"))
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.told().verdict == "failed"
        assert "x86_64 1.38.0 static" in (await load_memory(self.master)).failing

    async def test_since_when_survives(self) -> None:
        self.report(bad())
        self.expect_outcome(FAILURE)
        await self.run_step()
        first = self.told().cells[0].since
        self._steps.clear()
        self.reactor.advance(86400)
        self.report(bad())
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.told().cells[0].since == first

    async def test_missing_workers(self) -> None:
        self.report(good(), away={"fast": SINCE, "local": SINCE})
        await self.workers(fast=False, local=True, sw64_unattached=False)
        self.expect_outcome(WARNINGS)
        await self.run_step()
        [missing] = self.told().missing
        # One that is there is not missing, whatever was noted; a place is no machine.
        assert (missing.name, missing.since) == ("worker fast", SINCE)

    async def test_night_that_came_to_nothing(self) -> None:
        self.report(problem="version '9.9.9' is not pinned")
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.told().problem == "version '9.9.9' is not pinned"

    async def test_night_without_a_word(self) -> None:
        self.report()
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.told().problem == "it ended without an outcome"

    async def test_disk_that_refuses_does_not_hide_it(self) -> None:
        self.report(good())
        self.files.folder.write_text("in the way", "utf-8")
        self.expect_outcome(WARNINGS)
        await self.run_step()
        assert NightlyReport.from_json(self.property("nightly_report")).verdict == "good"
        assert "cannot write" in self.log_text("problem")

    async def test_night_that_somebody_stopped_is_not_told(self) -> None:
        self.report(bad())
        self.build.results = CANCELLED
        self.expect_outcome(SKIPPED)
        self.expect_no_property("nightly_report")
        await self.run_step()
        assert (await load_memory(self.master)).failing == {}
        assert not self.files.folder.exists()

    async def test_cancelled(self) -> None:
        self.report(good())
        self.interrupt_when(report_nightly.ReportFiles, "write")
        self.expect_outcome(CANCELLED)
        await self.run_step()
