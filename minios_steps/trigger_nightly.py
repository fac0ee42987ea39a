"""`TriggerNightly`: the matrix at night, with everything tested again and nothing done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED
from buildbot.reporters.utils import getURLForBuild

from minios_steps.core.nightly.judge import CellFacts
from minios_steps.core.nightly.spot import spot_checks
from minios_steps.core.plan import plan_matrix
from minios_steps.nightly_memory import load_memory
from minios_steps.trigger_matrix import TriggerMatrix

if TYPE_CHECKING:
    from minios_steps.core.nightly.memory import Memory
    from minios_steps.core.plan import Cell


class TriggerNightly(TriggerMatrix):
    """Trigger a build per cell, which ends with a test of the released image where nothing changed.

    Takes what `TriggerMatrix` does. Each build gets the properties `nightly` (true), `known_failures`
    and `clean_check`; the last is true of one cell that is about to be rebuilt. Sets the property
    `cell_facts` too: `CellFacts` in JSON form, by the cell's name.
    """

    _known: dict[str, str]
    _spot: Cell | None

    async def work(self) -> int:
        """Remember, choose, trigger, and hear what the builds have to say."""
        nightly = self.project.minios.nightly
        memory = await load_memory(self.master)
        self._known = memory.sure if nightly.retry == "machine" else {}
        self._spot = await self._choose(memory) if nightly.clean_check else None
        result = await super().work()
        if result == CANCELLED:
            return result
        facts = {str(cell): await self._facts(brid) for cell, brid in self._requests.items()}
        self.setProperty("cell_facts", {name: one.as_json() for name, one in facts.items()}, self.name)
        return result

    def getSchedulersAndProperties(self) -> list[dict[str, Any]]:
        """Each cell's, with what a nightly adds."""
        found = super().getSchedulersAndProperties()
        for cell, entry in zip(self._triggered, found, strict=True):
            entry["props_to_set"] |= {
                "nightly": True,
                "known_failures": self._known,
                "clean_check": cell == self._spot,
            }
        return found

    async def _choose(self, memory: Memory) -> Cell | None:
        plan = plan_matrix(self.project, versions=self.versions, variants=self.variants, arches=self.arches)
        for cell in await self.in_thread(spot_checks, self.project, plan.cells, memory):
            if await self._has_worker(cell.arch):
                return cell
        return None

    async def _facts(self, brid: int) -> CellFacts:
        builds = await self.master.data.get(("buildrequests", brid, "builds"))
        if not builds:
            return CellFacts()
        build = max(builds, key=lambda item: item["number"])
        properties = await self.master.data.get(("builds", build["buildid"], "properties"))
        said = {name: value for name, (value, _source) in properties.items()}
        compared = said.get("clean_check") and said.get("objects_kept") and said.get("candidate")
        return CellFacts(
            why=str(said.get("build_reason", "")),
            retested=str(said.get("retested", "")),
            certain=bool(said.get("certain", False)),
            known=bool(said.get("known_failure", False)),
            lost=bool(said.get("was_lost", False)),
            checked=not said.get("kept_differs", False) if compared else None,
            toolchain=str(said.get("toolchain_identity", "")),
            prefix=str(said.get("cc_prefix", "")),
            build=getURLForBuild(self.master, build["builderid"], build["number"]),
        )
