"""`TriggerMatrix`: every cell that was asked for is heard of, whatever becomes of its build."""

from __future__ import annotations

from typing import Any

from buildbot.process.properties import Property
from buildbot.process.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    SKIPPED,
    SUCCESS,
    WARNINGS,
)
from matrixbed import MatrixCase
from releasebed import FILES, OLDER, cell, put_candidate
from twisted.internet import defer

from minios_steps.core.cell_result import CellResult
from minios_steps.trigger_matrix import TriggerMatrix, matrix_properties, scheduler_name

ALL = ("x86_64", "aarch64", "sw64")
GOOD = "3 of 3 cells good"
SLOW_SW64 = {"arches/sw64.yaml": f"{FILES['arches/sw64.yaml']}timeout_factor: 2.0\n"}


class Fanning(MatrixCase):
    async def test_all_good(self) -> None:
        self.matrix()
        await self.connect(*ALL)
        self.expect_outcome(SUCCESS, GOOD)
        self.expect_property("asked_arches", list(ALL), "matrix")
        self.expect_no_property("problem")
        done = self.run_step()
        candidates = {arch: await self.build_well(arch) for arch in ALL}
        await done
        results = [CellResult.from_json(told) for told in self.property("cells")]
        assert [result.arch for result in results] == list(ALL)
        assert {result.arch: result.digest for result in results} == {
            arch: told["descriptor"]["digest"] for arch, told in candidates.items()
        }
        assert self.published == [("1.38.0", "static")]
        assert self.added == ["publish 1.38.0 static"]

    async def test_what_children_are_told(self) -> None:
        self.matrix(child_properties={"jobs": Property("jobs", default=0), "force_rebuild": True})
        await self.connect(*ALL)
        self.set_properties(jobs=7)
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        for brid in (await self.requests()).values():
            request = await self.master.data.get(("buildrequests", brid))
            said = await self.master.data.get(("buildsets", request["buildsetid"], "properties"))
            told = {name: value for name, (value, _) in said.items()}
            assert told == {"version": "1.38.0", "variant": "static", "jobs": 7, "force_rebuild": True}
            assert request["waited_for"]
        for arch in ALL:
            await self.build_well(arch)
        await done

    async def test_several_versions_of_one_arch(self) -> None:
        """Each is a build request of its own, and each gets its own answer, in whatever order."""
        self.matrix(versions=["1.35.0", "newest"], arches=["sw64"])
        await self.connect("sw64")
        self.expect_outcome(WARNINGS, "1 of 2 cells good, sw64 1.38.0 static: failed")
        done = self.run_step()
        assert list(await self.requests()) == [cell("sw64"), cell("sw64", OLDER)]
        await self.build_well(cell("sw64", OLDER))
        await self.finish(await self.start("sw64"), FAILURE, problem="compile failed")
        await done
        assert self.outcomes() == {"sw64 1.38.0": "failed: compile failed", "sw64 1.35.0": "built"}
        assert self.published == [("1.38.0", "static"), ("1.35.0", "static")]

    async def test_properties_choose_the_matrix(self) -> None:
        self.matrix(**matrix_properties())
        await self.connect(*ALL)
        self.set_properties(versions=["1.35.0"], arches=["aarch64"], variants=["static"])
        self.expect_outcome(SUCCESS, "1 of 1 cells good")
        self.expect_property("asked_arches", ["aarch64"])
        done = self.run_step()
        await self.build_well(cell("aarch64", OLDER))
        await done

    async def test_reused(self) -> None:
        self.matrix(arches=["sw64"])
        await self.connect("sw64")
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        await self.build_well("sw64", reused=True)
        await done
        assert self.outcomes() == {"sw64 1.38.0": "reused"}

    async def test_progress(self) -> None:
        step = self.matrix()
        await self.connect(*ALL)
        assert step.getCurrentSummary() == {"step": "planning"}
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        assert step.getCurrentSummary() == {"step": "0/3 cells done"}
        await self.build_well("sw64")
        assert step.getCurrentSummary() == {"step": "1/3 cells done"}
        await self.build_well("x86_64")
        await self.build_well("aarch64")
        await done

    async def test_publishing_is_left_to_the_caller(self) -> None:
        self.matrix(arches=["sw64"], publish=None)
        await self.connect("sw64")
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        await self.build_well("sw64")
        await done
        assert self.added == []

    def test_unknown_arch(self) -> Any:
        self.matrix(arches=["mips"])
        self.expect_outcome(
            FAILURE, "unknown arch 'mips': the configuration has aarch64, riscv64, sw64, x86_64"
        )
        self.expect_no_property("cells")
        return self.run_step()

    async def test_scheduler_is_missing(self) -> None:
        self.matrix()
        await self.connect(*ALL)
        del self.namedServices[scheduler_name("sw64")]
        self.expect_outcome(EXCEPTION)
        self.expect_no_property("cells")
        await self.run_step()
        assert await self.requests() == {}
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_one_scheduler_per_arch(self) -> None:
        self.matrix()
        step = TriggerMatrix(project=self.project)
        assert step.schedulerNames == [f"build-{arch}" for arch in sorted(self.schedulers)]


class Workers(MatrixCase):
    async def test_none_for_an_optional_arch(self) -> None:
        self.matrix()
        await self.connect("x86_64", "aarch64")
        self.expect_outcome(SUCCESS, "2 of 3 cells good, sw64 1.38.0 static: no-worker")
        done = self.run_step()
        assert list(await self.requests()) == [cell("x86_64"), cell("aarch64")]
        await self.build_well("x86_64")
        await self.build_well("aarch64")
        await done
        told = self.property("cells")[2]
        assert (told["outcome"], told["attach"]) == ("no-worker", "start a worker on a sw64 machine")
        assert told["reason"] == "no worker for sw64 is connected"

    async def test_none_for_a_required_arch(self) -> None:
        self.matrix()
        await self.connect("x86_64", "sw64")
        self.expect_outcome(FAILURE, "2 of 3 cells good, aarch64 1.38.0 static: no-worker")
        done = self.run_step()
        await self.build_well("x86_64")
        await self.build_well("sw64")
        await done
        assert self.published == [("1.38.0", "static")]

    async def test_none_at_all(self) -> None:
        self.matrix()
        self.expect_outcome(
            FAILURE,
            "0 of 3 cells good, x86_64 1.38.0 static: no-worker, aarch64 1.38.0 static: no-worker,"
            " sw64 1.38.0 static: no-worker",
        )
        await self.run_step()
        assert await self.requests() == {}
        assert set(self.outcomes()) == {"x86_64 1.38.0", "aarch64 1.38.0", "sw64 1.38.0"}

    async def test_paused(self) -> None:
        self.matrix(arches=["sw64"])
        await self.connect("sw64")
        await self.master.data.updates.set_worker_paused(703, paused=True, pause_reason="no disk")
        self.expect_outcome(SUCCESS, "0 of 1 cells good, sw64 1.38.0 static: no-worker")
        await self.run_step()

    async def test_only_the_first_bad_ones_are_told(self) -> None:
        self.matrix(versions=["1.38.0", "1.35.0"])
        self.expect_outcome(
            FAILURE,
            "0 of 6 cells good, x86_64 1.38.0 static: no-worker, aarch64 1.38.0 static: no-worker,"
            " sw64 1.38.0 static: no-worker",
        )
        await self.run_step()
        assert len(self.property("cells")) == 6


class Children(MatrixCase):
    async def ends(self, outcome: int, summary: str, reason: str, act: Any) -> None:
        """Run sw64 alone; `act` plays its worker."""
        self.matrix(arches=["sw64"])
        await self.connect("sw64")
        self.expect_outcome(outcome, summary)
        done = self.run_step()
        await act()
        await done
        assert self.outcomes() == {"sw64 1.38.0": reason}

    async def test_failed(self) -> None:
        async def act() -> None:
            await self.finish(await self.start("sw64"), FAILURE, problem="smoke test failed: pipe: 41")

        summary = "0 of 1 cells good, sw64 1.38.0 static: failed"
        await self.ends(WARNINGS, summary, "failed: smoke test failed: pipe: 41", act)

    async def test_crashed(self) -> None:
        async def act() -> None:
            await self.finish(await self.start("sw64"), EXCEPTION, state="exception")

        await self.ends(WARNINGS, "0 of 1 cells good, sw64 1.38.0 static: failed", "failed: exception", act)

    async def test_cancelled_by_somebody(self) -> None:
        async def act() -> None:
            await self.start("sw64")
            await self.cancel(cell("sw64"), "wrong button")

        # The run goes on: the others' work must not be lost with this cell's.
        summary = "0 of 1 cells good, sw64 1.38.0 static: failed"
        await self.ends(WARNINGS, summary, "failed: cancelled (wrong button)", act)

    async def test_cancelled_before_it_was_taken(self) -> None:
        async def act() -> None:
            await self.cancel(cell("sw64"), "wrong button")

        summary = "0 of 1 cells good, sw64 1.38.0 static: failed"
        await self.ends(WARNINGS, summary, "failed: its build request ended without a build", act)

    async def test_collapsed(self) -> None:
        async def act() -> None:
            await self.complete(cell("sw64"), SKIPPED)

        summary = "0 of 1 cells good, sw64 1.38.0 static: failed"
        await self.ends(WARNINGS, summary, "failed: its build request ended without a build", act)

    async def test_no_candidate(self) -> None:
        async def act() -> None:
            await self.finish(await self.start("sw64"), SUCCESS)

        summary = "0 of 1 cells good, sw64 1.38.0 static: failed"
        await self.ends(WARNINGS, summary, "failed: its build ended well but made no candidate", act)

    async def test_warnings_are_good(self) -> None:
        async def act() -> None:
            candidate = put_candidate(self.store, self.project, cell("sw64")).as_json()
            await self.finish(await self.start("sw64"), WARNINGS, candidate=candidate)

        await self.ends(SUCCESS, "1 of 1 cells good", "built", act)

    async def test_worker_was_lost_once(self) -> None:
        async def act() -> None:
            await self.lose(await self.start("sw64"), cell("sw64"))
            await self.build_well("sw64")

        await self.ends(SUCCESS, "1 of 1 cells good", "built", act)

    async def test_required_one_failed(self) -> None:
        self.matrix(arches=["x86_64", "sw64"])
        await self.connect(*ALL)
        self.expect_outcome(FAILURE, "1 of 2 cells good, x86_64 1.38.0 static: failed")
        done = self.run_step()
        await self.build_well("sw64")
        await self.finish(await self.start("x86_64"), FAILURE, problem="compile failed: a.c:1: error")
        await done
        assert self.outcomes()["x86_64 1.38.0"] == "failed: compile failed: a.c:1: error"
        assert self.added == ["publish 1.38.0 static"]

    async def test_no_build_request(self) -> None:
        """One arch's request is refused: its cell is told so, and the others keep their own answers."""
        self.matrix()
        await self.connect(*ALL)
        self.schedulers["x86_64"].refusing = True
        self.expect_outcome(FAILURE, "2 of 3 cells good, x86_64 1.38.0 static: failed")
        done = self.run_step()
        await self.build_well("aarch64")
        await self.build_well("sw64")
        await done
        assert self.outcomes() == {
            "x86_64 1.38.0": "failed: no answer from its build request",
            "aarch64 1.38.0": "built",
            "sw64 1.38.0": "built",
        }
        assert "the database is away" in self.log_text("err.text")

    async def test_no_build_request_at_all(self) -> None:
        self.matrix(arches=["sw64"])
        await self.connect("sw64")
        self.schedulers["sw64"].refusing = True
        self.expect_outcome(WARNINGS, "0 of 1 cells good, sw64 1.38.0 static: failed")
        await self.run_step()
        assert self.outcomes() == {"sw64 1.38.0": "failed: no answer from its build request"}


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

        def away(_path: Any) -> Any:
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
