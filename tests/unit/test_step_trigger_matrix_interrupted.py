"""`TriggerMatrix`: the master ended in the middle of a matrix, and Buildbot builds it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildbot.process.results import RETRY, SUCCESS
from buildbot.test import fakedb
from matrixbed import NUMBERS, MatrixCase
from releasebed import OLDER, cell

from minios_steps.interrupted import comes_back

if TYPE_CHECKING:
    from minios_steps.core.plan import Cell

EARLIER = 60


class Interrupted(MatrixCase):
    async def interrupt(self, left: Cell) -> None:
        """An earlier build of the same request has asked for a cell, and the master ended then."""
        mine = await self.master.data.get(("builds", self.build.buildid))
        same = {key: mine[key] for key in ("buildrequestid", "builderid", "masterid", "workerid")}
        told = {"version": str(left.version), "variant": left.variant}
        await self.master.db.insert_test_data(
            [
                fakedb.Build(id=EARLIER, number=mine["number"] - 1, results=RETRY, **same),
                fakedb.SourceStamp(id=52),
                fakedb.Buildset(id=53, parent_buildid=EARLIER),
                fakedb.BuildsetSourceStamp(buildsetid=53, sourcestampid=52),
                *(
                    fakedb.BuildsetProperty(
                        buildsetid=53, property_name=name, property_value=f'["{value}", ""]'
                    )
                    for name, value in told.items()
                ),
                fakedb.BuildRequest(id=54, buildsetid=53, builderid=500 + NUMBERS[left.arch]),
            ]
        )

    async def test_workers_are_waited_for_and_cells_asked_for_once(self) -> None:
        self.matrix(arches=["sw64"])
        await self.interrupt(cell("sw64", OLDER))
        self.expect_outcome(SUCCESS, "1 of 1 cells good")
        done = self.run_step()
        await self.connect("sw64")
        await self.build_well("sw64")
        await done
        assert self.cancelled == ["its matrix begins anew"]

    async def test_a_paused_worker_is_not_waited_for(self) -> None:
        self.matrix(arches=["sw64"])
        await self.interrupt(cell("sw64"))
        await self.master.data.updates.set_worker_paused(700 + NUMBERS["sw64"], paused=True)
        self.expect_outcome(SUCCESS, "0 of 1 cells good, sw64 1.38.0 static: no-worker")
        await self.run_step()

    def test_a_place_for_a_worker_is_not_a_worker(self) -> None:
        assert comes_back({"workerinfo": {"host": "x"}, "paused": False})
        assert not comes_back({"workerinfo": {}, "paused": False})
