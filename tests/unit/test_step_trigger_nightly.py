"""`TriggerNightly`: what the cells' builds are told at night, and what they say."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from matrixbed import MatrixCase
from nightlybed import FIRST
from releasebed import ALL, MINIOS, cell, put_candidate

from minios_steps.core.nightly.judge import CellFacts
from minios_steps.core.nightly.memory import Failure, Known, Memory
from minios_steps.nightly_memory import keep_memory, load_memory
from minios_steps.trigger_nightly import TriggerNightly

KEY = "sha256:" + "1" * 64
FAILING = {"x86_64 1.38.0 static": Failure(FIRST, "compile failed", KEY, sure=True)}


class AtNight(MatrixCase):
    def night(self, nightly: str = "", **kwargs: Any) -> Any:
        changes = {"minios.yaml": f"{MINIOS}nightly: {{{nightly}}}\n"}
        return self.matrix(changes, kind=TriggerNightly, name="nightly", **kwargs)

    async def told(self) -> dict[str, dict[str, Any]]:
        """What each cell's build is told, by arch."""
        found = {}
        for made, brid in (await self.requests()).items():
            request = await self.master.data.get(("buildrequests", brid))
            said = await self.master.data.get(("buildsets", request["buildsetid"], "properties"))
            found[made.arch] = {name: value for name, (value, _) in said.items()}
        return found

    def facts(self, arch: str) -> CellFacts:
        return CellFacts.from_json(self.property("cell_facts")[f"{arch} 1.38.0 static"])

    async def finish_all(self, done: Any, *arches: str) -> None:
        for arch in arches:
            await self.build_well(arch)
        await done

    async def test_first_night(self) -> None:
        self.night()
        await self.connect(*ALL)
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        told = await self.told()
        assert told["x86_64"] == {
            "version": "1.38.0",
            "variant": "static",
            "nightly": True,
            "known_failures": {},
            "clean_check": False,
        }
        await self.finish_all(done, *ALL)

    async def test_known_failures_are_passed_on(self) -> None:
        self.night(arches=["x86_64"])
        await keep_memory(self.master, Memory(failing=FAILING))
        await self.connect("x86_64")
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        told = await self.told()
        assert told["x86_64"]["known_failures"] == {KEY: f"compile failed (since {FIRST})"}
        await self.finish_all(done, "x86_64")

    async def test_all_is_tried_again(self) -> None:
        self.night("retry: all", arches=["x86_64"])
        await keep_memory(self.master, Memory(failing=FAILING))
        await self.connect("x86_64")
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        assert (await self.told())["x86_64"]["known_failures"] == {}
        await self.finish_all(done, "x86_64")

    async def remember_changes(self, *arches: str) -> None:
        """A memory in which these cells had other inputs last night."""
        known = {}
        for arch in ALL:
            record = put_candidate(self.store, self.project, cell(arch))
            key = "sha256:" + "0" * 64 if arch in arches else str(record.key)
            known[str(cell(arch))] = Known(key, 1, record.inputs["toolchain"])
        await keep_memory(self.master, Memory(known=known))

    async def test_one_of_the_cells_that_will_be_rebuilt_is_checked(self) -> None:
        self.night()
        await self.remember_changes("aarch64", "x86_64")
        await self.connect("x86_64", "sw64")
        self.expect_outcome(FAILURE)
        done = self.run_step()
        # aarch64 would come first, and has no worker.
        checks = {arch: told["clean_check"] for arch, told in (await self.told()).items()}
        assert checks == {"x86_64": True, "sw64": False}
        await self.finish_all(done, "x86_64", "sw64")

    async def test_nothing_is_checked_where_that_is_off(self) -> None:
        self.night("clean_check: false")
        await self.remember_changes(*ALL)
        await self.connect(*ALL)
        self.expect_outcome(SUCCESS)
        done = self.run_step()
        assert {told["clean_check"] for told in (await self.told()).values()} == {False}
        await self.finish_all(done, *ALL)

    async def test_what_the_builds_say(self) -> None:
        self.night()
        await self.connect("x86_64", "aarch64", "sw64")
        self.expect_outcome(FAILURE)
        done = self.run_step()
        await self.build_well(
            "x86_64", reused=True, retested="tested", toolchain_identity="gcc", cc_prefix="p-"
        )
        said = {"build_reason": "not built before", "clean_check": True, "objects_kept": True}
        await self.build_well("sw64", **said, kept_differs=True)
        await self.finish(
            await self.start("aarch64"),
            FAILURE,
            problem="broken",
            certain=True,
            known_failure=True,
            cell_key=KEY,
        )
        await done
        assert self.facts("x86_64").retested == "tested"
        assert (self.facts("x86_64").toolchain, self.facts("x86_64").prefix) == ("gcc", "p-")
        assert (self.facts("sw64").why, self.facts("sw64").checked) == ("not built before", False)
        assert (self.facts("aarch64").certain, self.facts("aarch64").known) == (True, True)
        assert (self.facts("sw64").certain, self.facts("sw64").known) == (False, False)
        assert "/builders/502/builds/" in self.facts("aarch64").build
        [failed] = [told for told in self.property("cells") if told["arch"] == "aarch64"]
        assert failed["key"] == KEY

    async def test_cancelled(self) -> None:
        self.night()
        await self.connect(*ALL)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("cell_facts")
        done = self.run_step()
        await self.start("x86_64")
        self.get_nth_step(0).interrupt("somebody pressed stop")
        self.reactor.advance(1)
        await done

    async def test_memory_is_not_written_again_when_it_is_the_same(self) -> None:
        self.night()
        memory = Memory(failing=FAILING)
        await keep_memory(self.master, memory)
        written: list[Any] = []
        self.patch(self.master.db.state, "setState", lambda *words: written.append(words))
        await keep_memory(self.master, memory)
        assert await load_memory(self.master) == memory
        assert written == []
