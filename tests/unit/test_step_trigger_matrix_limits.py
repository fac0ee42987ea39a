"""`TriggerMatrix`: time limits of waiting and running cells, and cancelling."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import CANCELLED, FAILURE, SUCCESS, WARNINGS
from matrixbed import MatrixCase
from releasebed import ALL, FILES, OLDER, cell, put_candidate
from twisted.internet import defer

SLOW_SW64 = {"arches/sw64.yaml": f"{FILES['arches/sw64.yaml']}timeout_factor: 2.0\n"}


class Limits(MatrixCase):
    """The project allows 60 s to be claimed and 600 s to run; the step looks every 5 s."""

    async def test_nobody_takes_it(self) -> None:
        self.matrix()
        await self.connect(*ALL)
        self.expect_outcome(WARNINGS, "2 of 3 cells good, sw64 1.38.0 static: timed-out")
        done = self.run_step()
        await self.build_well("x86_64")
        await self.build_well("aarch64")
        await self.pass_time(65)
        assert self.cancelled == []
        await self.pass_time(5)
        assert self.cancelled == ["no worker took it within 60 s"]
        await done
        assert self.outcomes()["sw64 1.38.0"] == "timed-out: no worker took it within 60 s"

    async def test_waiting_behind_another_cell_does_not_count(self) -> None:
        self.matrix(versions=["1.38.0", "1.35.0"], arches=["sw64"])
        await self.connect("sw64")
        self.expect_outcome(SUCCESS, "2 of 2 cells good")
        done = self.run_step()
        await self.pass_time(50)
        first = await self.start("sw64")
        await self.pass_time(300)
        await self.finish(first, candidate=put_candidate(self.store, self.project, cell("sw64")).as_json())
        # The count starts anew when the worker is free again.
        await self.pass_time(50)
        await self.build_well(cell("sw64", OLDER))
        await done
        assert self.cancelled == []

    async def test_runs_too_long(self) -> None:
        self.matrix(arches=["x86_64"])
        await self.connect("x86_64")
        self.expect_outcome(FAILURE, "0 of 1 cells good, x86_64 1.38.0 static: timed-out")
        done = self.run_step()
        await self.start("x86_64")
        await self.pass_time(600)
        assert self.cancelled == []
        await self.pass_time(5)
        await done
        assert self.cancelled == ["still running after 600 s"]
        assert self.outcomes() == {"x86_64 1.38.0": "timed-out: still running after 600 s"}

    async def test_slow_cpu_has_longer(self) -> None:
        self.matrix(SLOW_SW64, arches=["sw64"])
        await self.connect("sw64")
        self.expect_outcome(WARNINGS)
        done = self.run_step()
        await self.start("sw64")
        await self.pass_time(1200)
        assert self.cancelled == []
        await self.pass_time(5)
        await done
        assert self.outcomes() == {"sw64 1.38.0": "timed-out: still running after 1200 s"}

    async def test_limit_is_of_the_newest_build(self) -> None:
        self.matrix(arches=["sw64"])
        await self.connect("sw64")
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        lost = await self.start("sw64")
        await self.pass_time(500)
        await self.lose(lost, cell("sw64"))
        again = await self.start("sw64")
        await self.pass_time(500)
        await self.finish(again, candidate=put_candidate(self.store, self.project, cell("sw64")).as_json())
        await done
        assert self.cancelled == []

    async def test_cancelled_once_only(self) -> None:
        self.matrix(arches=["sw64"])
        await self.connect("sw64")
        self.slow_to_cancel = True
        self.expect_outcome(WARNINGS)
        done = self.run_step()
        await self.pass_time(200)
        assert self.cancelled == ["no worker took it within 60 s"]
        await self.complete(cell("sw64"), CANCELLED)
        await done

    async def test_database_is_away_for_a_moment(self) -> None:
        self.matrix(arches=["sw64"])
        await self.connect("sw64")
        self.expect_outcome(WARNINGS, "0 of 1 cells good, sw64 1.38.0 static: timed-out")
        done = self.run_step()
        await self.pass_time(5)
        real = self.master.data.get

        def away(_path: Any, **_: Any) -> Any:
            return defer.fail(RuntimeError("the database is away"))

        self.master.data.get = away
        await self.pass_time(10)
        self.master.data.get = real
        assert len(self.flushLoggedErrors(RuntimeError)) == 2
        await self.pass_time(60)
        await done
        assert self.outcomes() == {"sw64 1.38.0": "timed-out: no worker took it within 60 s"}


class Cancelled(MatrixCase):
    async def test_while_waiting(self) -> None:
        step = self.matrix()
        await self.connect(*ALL)
        self.expect_outcome(CANCELLED, "interrupted")
        self.expect_no_property("cells")
        self.expect_no_property("problem")
        done = self.run_step()
        await self.build_well("x86_64")
        await self.start("aarch64")
        step.interrupt("stop")
        await done
        reasons = set(self.cancelled)
        assert reasons == {"parent build was interrupted"}
        requests = await self.master.data.get(("buildrequests",))
        assert all(request["complete"] for request in requests if request["builderid"] > 500)
        assert self.added == []

    async def test_while_planning(self) -> None:
        step = self.matrix()
        await self.connect(*ALL)
        real = step._has_worker

        async def stopping(arch: str) -> bool:
            step.interrupt("stop")
            return bool(await real(arch))

        self.patch(step, "_has_worker", stopping)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("cells")
        await self.run_step()
        assert await self.requests() == {}

    async def test_while_triggering(self) -> None:
        step = self.matrix()
        await self.connect(*ALL)
        scheduler = self.schedulers["aarch64"]
        real = scheduler._add

        async def stopping(*args: Any) -> Any:
            step.interrupt("stop")
            return await real(*args)

        self.patch(scheduler, "_add", stopping)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("cells")
        await self.run_step()
        assert cell("sw64") not in await self.requests()
        assert self.added == []
