"""`ReportNightly`: the one report that a nightly ends with."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED, FAILURE, SKIPPED, SUCCESS, WARNINGS
from buildbot.reporters.utils import getURLForBuild

from minios_steps.core.errors import MiniosError
from minios_steps.core.nightly.files import ReportFiles
from minios_steps.core.nightly.judge import CellFacts, Night, judge
from minios_steps.core.nightly.text import headline, report_text
from minios_steps.core.policy import CellResult
from minios_steps.nightly_memory import keep_memory, load_memory
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    from minios_steps.core.config.project import Project

_RESULTS = {"good": SUCCESS, "warnings": WARNINGS, "failed": FAILURE}


class ReportNightly(MiniosStep):
    """Compare the night with those before, and tell: a log, files, and a property for the notices.

    Args:
        project: the configuration.
        folder: where `report.json` and `report.txt` go.
        away: gives since when workers are away, by name, from Buildbot's master.
        placeholders: workers that stand for machines which were never attached.

    Reads the properties `cells`, `cell_facts` and `releases`. Sets the property `nightly_report`, a
    `NightlyReport` in JSON form. FAILURE when something failed, WARNINGS when something deserves a look.
    It also tells of a nightly that came to no cells, but not of one that somebody stopped.
    """

    name = "report"
    haltOnFailure = False

    def __init__(
        self,
        *,
        project: Project,
        folder: Path,
        away: Callable[[Any], Awaitable[Mapping[str, str]]],
        placeholders: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("alwaysRun", True)
        super().__init__(**kwargs)
        self.project = project
        self.folder = folder
        self.away = away
        self.placeholders = frozenset(placeholders)

    async def work(self) -> int:
        """Judge the night, keep what is known now, tell."""
        if self.build.results == CANCELLED:
            return int(SKIPPED)
        memory = await load_memory(self.master)
        role, growth = self.project.role, self.project.minios.nightly.growth
        report, now = judge(memory, await self._night(), role, growth)
        await keep_memory(self.master, now)
        self.setProperty("nightly_report", report.as_json(), self.name)
        await self.addCompleteLog("report", report_text(report))
        self.summary = headline(report)
        try:
            await self.in_thread(ReportFiles(self.folder).write, report)
        except MiniosError as error:
            # The night is told all the same: by the log, and by the notices.
            await self.addCompleteLog("problem", f"{error}\n")
            return int(max(WARNINGS, _RESULTS[report.verdict]))
        return int(_RESULTS[report.verdict])

    async def _night(self) -> Night:
        cells = [CellResult.from_json(item) for item in self.getProperty("cells", [])]
        facts = self.getProperty("cell_facts", {})
        problem = "" if cells else str(self.getProperty("problem", "") or "it ended without an outcome")
        build = await self.master.data.get(("builds", self.build.buildid))
        seconds = self.master.reactor.seconds() - build["started_at"].timestamp()
        return Night(
            started=build["started_at"].astimezone(dt.timezone.utc).isoformat(timespec="seconds"),
            seconds=round(seconds, 1),
            build=getURLForBuild(self.master, build["builderid"], build["number"]),
            cells=cells,
            facts={name: CellFacts.from_json(one) for name, one in facts.items()},
            releases=self.getProperty("releases", []),
            absent=await self._absent(),
            attach={name: arch.attach for name, arch in self.project.arches.items()},
            problem=problem,
        )

    async def _absent(self) -> dict[str, str]:
        """The workers that should be connected and are not, and since when."""
        since = await self.away(self.master)
        return {
            worker["name"]: since.get(worker["name"], "")
            for worker in await self.master.data.get(("workers",))
            if worker["configured_on"]
            and not worker["connected_to"]
            and worker["name"] not in self.placeholders
        }
