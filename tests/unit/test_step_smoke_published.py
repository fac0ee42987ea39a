"""`SmokePublished`: the released image, by its digest, verified, and run again with no compile."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED, FAILURE, SUCCESS, WARNINGS
from releasebed import House, cell
from smokebed import exchange
from stepbed import StepCase, interrupted

from minios_steps import smoke_published
from minios_steps.core.nightly.retest import retest_checks
from minios_steps.smoke_published import SmokePublished

if TYPE_CHECKING:
    from minios_steps.core.cell_record import CellRecord

CHECKS = retest_checks(["sh"], [])
PASSED = sum(1 for check in CHECKS if not check.skip)
TOLD = f"{PASSED} checks passed natively, {len(CHECKS) - PASSED} not configured"


class Retesting(StepCase):
    def retest(self, arch: str = "x86_64", *, release: bool = True, **kwargs: Any) -> None:
        """The last step of a build at night whose cell was reused."""
        self.house = House(self.folder)
        results = self.house.good("x86_64", "aarch64", "riscv64")
        if release:
            assert self.house.publish(results)[0].outcome == "released"
        [result] = [one for one in results if one.arch == arch]
        self.result = result
        found = self.house.store.latest(arch, "1.38.0", "static")
        assert found
        self.record: CellRecord = found
        self.sent: list[bytes] = []
        options = {
            "layout": self.house.layout.root,
            "version": str(cell().version),
            "variant": "static",
            **kwargs,
        }
        step = SmokePublished(
            project=self.house.project,
            arch=self.house.project.arches[arch],
            store=self.house.store.root,
            work_root=self.folder / "work",
            **options,
        )
        self.setup_step(step)
        self.set_properties(candidate=self.record.as_json(), reused=True, native=True, emulator="")

    def commands(self, **wrong: tuple[int, str]) -> tuple[Any, ...]:
        return exchange(CHECKS, self.sent, **wrong)

    async def passes(self, told: str) -> None:
        before = self.house.snapshot() if self.house.layout.exists else {}
        self.expect_commands(*self.commands())
        self.expect_outcome(SUCCESS, told)
        self.expect_property("retested", told, "retest")
        self.expect_no_property("problem")
        await self.run_step()
        assert self.sent == [self.house.layer_of(self.result).read_bytes()]
        # It only looks.
        assert (self.house.snapshot() if self.house.layout.exists else {}) == before

    async def test_released_image(self) -> None:
        self.retest()
        # The store of candidates is not asked.
        self.house.layer_of(self.result).rename(self.folder / "elsewhere")
        self.house.layer_of = lambda _result: self.folder / "elsewhere"  # type: ignore[method-assign]
        await self.passes(f"the released image {self.record.descriptor.digest.short}: {TOLD}")

    async def test_image_that_is_not_released_yet(self) -> None:
        self.retest(release=False)
        await self.passes(f"the candidate, in no release yet, {self.record.descriptor.digest.short}: {TOLD}")

    async def test_candidate_arch(self) -> None:
        self.retest("riscv64")
        await self.passes(f"the candidate, in no release yet, {self.record.descriptor.digest.short}: {TOLD}")

    async def test_released_image_is_gone(self) -> None:
        self.retest()
        self.house.layout.blob_path(self.record.descriptor.digest).unlink()
        short = self.record.descriptor.digest.short
        await self.passes(f"the candidate, as the release has lost its image, {short}: {TOLD}")

    async def test_wrong_answer(self) -> None:
        self.retest()
        self.expect_commands(*self.commands(applets=(0, "sh vi")))
        short = self.record.descriptor.digest.short
        told = f"the released image {short}: smoke test failed natively: applets: not configured: vi"
        self.expect_outcome(FAILURE, told)
        self.expect_property("problem", told, "retest")
        self.expect_property("retested", told, "retest")
        await self.run_step()

    async def test_released_bytes_are_damaged(self) -> None:
        self.retest()
        digest = self.house.store.blobs(self.record.descriptor)[2]
        path = self.house.layout.blob_path(digest)
        path.write_bytes(b"x" * path.stat().st_size)
        self.expect_outcome(FAILURE)
        self.expect_no_property("retested")
        await self.run_step()
        assert "damaged" in self.property("problem")

    async def test_image_is_of_another_cell(self) -> None:
        self.retest()
        other = dataclasses.replace(self.record, key=type(self.record.key)("0" * 64))
        self.set_properties(candidate=other.as_json())
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert "org.minios.cell-key" in self.property("problem")

    def test_no_way_to_run_it(self) -> Any:
        self.retest()
        self.set_properties(native=False)
        told = "not run: the worker cannot execute x86_64 and has no emulator"
        self.expect_outcome(WARNINGS, told)
        self.expect_property("retested", told, "retest")
        return self.run_step()

    async def test_no_place(self) -> None:
        self.retest(layout=None)
        self.expect_outcome(FAILURE, "SmokePublished has neither a layout nor a registry")
        await self.run_step()

    async def test_cancelled_while_running(self) -> None:
        self.retest()
        commands = self.commands()
        self.interrupt_nth_remote_command(len(commands) - 1)
        self.expect_commands(*commands[:-1], interrupted(commands[-1].exit(-1)))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("retested")
        self.expect_no_property("problem")
        await self.run_step()

    async def test_cancelled_while_fetching(self) -> None:
        self.retest()
        self.interrupt_when(smoke_published, "fetch_image")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        await self.run_step()
        assert self.left("work") == []
