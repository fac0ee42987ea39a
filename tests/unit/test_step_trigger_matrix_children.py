"""`TriggerMatrix`: what becomes of a cell whose build ends badly, oddly or not at all."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import EXCEPTION, FAILURE, SKIPPED, SUCCESS, WARNINGS
from matrixbed import MatrixCase
from releasebed import ALL, cell, put_candidate


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
