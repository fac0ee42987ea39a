"""`TriggerMatrix`: every cell that was asked for is heard of, whatever becomes of its build."""

from __future__ import annotations

from typing import Any

from buildbot.process.properties import Property
from buildbot.process.results import EXCEPTION, FAILURE, SUCCESS, WARNINGS
from matrixbed import MatrixCase
from releasebed import ALL, OLDER, cell

from minios_steps.core.cell_result import CellResult
from minios_steps.trigger_matrix import TriggerMatrix, matrix_properties, scheduler_name

GOOD = "3 of 3 cells good"


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
