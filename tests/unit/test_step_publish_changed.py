"""`PublishChanged`: nothing is written where nothing is new, and everything else is a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from releasebed import ALL, House, failed
from stepbed import StepCase

from minios_steps import publish_changed
from minios_steps.core.config.load import load_project
from minios_steps.publish_changed import PublishChanged

if TYPE_CHECKING:
    from minios_steps.core.cell_result import CellResult


class Night(StepCase):
    def changed(self, *cells: CellResult, house: House | None = None, **kwargs: Any) -> None:
        """The step at night, in a house where something was released before, or not."""
        self.house = house or House(self.folder)
        options = {"layout": self.house.layout.root, "version": "1.38.0", "variant": "static", **kwargs}
        self.setup_step(
            PublishChanged(project=self.house.project, store=self.house.store.root, name="publish", **options)
        )
        self.set_properties(asked_arches=[*ALL, "riscv64"], cells=[one.as_json() for one in cells])

    def released(self, *arches: str) -> tuple[House, list[CellResult]]:
        house = House(self.folder)
        cells = house.good(*arches)
        assert house.publish(cells)[0].outcome == "released"
        return house, cells

    def report(self) -> dict[str, Any]:
        [found] = self.property("releases")
        return dict(found)

    async def stays(self, house: House, *cells: CellResult) -> None:
        before = house.snapshot()
        times = {path: path.stat().st_mtime_ns for path in house.layout.root.rglob("*")}
        self.changed(*cells, house=house)
        digest = house.layout.tags()["latest"].digest
        self.expect_outcome(SUCCESS, f"1.38.0 static: nothing new, it stays {digest.short}")
        await self.run_step()
        assert self.report()["outcome"] == "unchanged"
        assert self.report()["index"] == str(digest)
        assert list(self.report()["tags"]) == ["1.38.0", "1.38", "latest"]
        assert house.snapshot() == before
        assert {path: path.stat().st_mtime_ns for path in house.layout.root.rglob("*")} == times

    async def test_nothing_new(self) -> None:
        house, cells = self.released(*ALL)
        await self.stays(house, *cells, *house.good("riscv64"))

    async def test_one_that_is_missing_tonight_stays_released(self) -> None:
        house, cells = self.released(*ALL)
        await self.stays(house, *cells[:2], failed("sw64"))

    async def test_required_one_that_fails_tonight_stays_released(self) -> None:
        house, cells = self.released(*ALL)
        await self.stays(house, failed("x86_64"), *cells[1:])

    async def test_first_release(self) -> None:
        self.changed()
        cells = self.house.good(*ALL)
        self.set_properties(cells=[one.as_json() for one in cells])
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.report()["outcome"] == "released"
        assert self.house.platforms("latest") == ["linux/amd64", "linux/arm64", "linux/sw64"]

    async def test_new_image_while_another_is_missing(self) -> None:
        house, _ = self.released("x86_64", "sw64", "aarch64")
        project = self.folder / "config"
        (project / "rootfs" / "skeleton.yaml").write_text(
            'directories:\n  - {path: bin, mode: "0711", owner: 0:0}\n', "utf-8"
        )
        house.project = load_project(project)
        fresh = house.good("x86_64", "aarch64")
        self.changed(*fresh, failed("sw64"), house=house)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.report()["outcome"] == "released"
        # As it was released; `policy.carry_over` is off for the matrix.
        assert list(self.report()["carried"]) == ["sw64"]
        assert "linux/sw64" in house.platforms("latest")
        assert not house.project.minios.policy.carry_over

    async def test_required_arch_blocks(self) -> None:
        self.changed()
        cells = [*self.house.good("x86_64"), failed("aarch64")]
        self.set_properties(cells=[one.as_json() for one in cells])
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.report()["outcome"] == "blocked"
        assert not self.house.layout.exists

    async def test_damaged_index_is_told_by_the_release(self) -> None:
        house, cells = self.released(*ALL)
        path = house.layout.blob_path(house.layout.tags()["latest"].digest)
        path.write_bytes(b"{}")
        self.changed(*cells, house=house)
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.report()["outcome"] == "failed"

    async def test_lost_blob_is_brought_back(self) -> None:
        house, cells = self.released(*ALL)
        before, tags = house.snapshot(), house.layout.tags()
        lost = house.store.blobs(cells[1].descriptor)[2]  # type: ignore[arg-type]
        house.layout.blob_path(lost).unlink()
        self.changed(*cells, house=house)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.report()["outcome"] == "released"
        assert self.report()["lacked"].startswith("aarch64's image is not whole: ")
        assert str(lost) in self.report()["lacked"]
        assert house.layout.tags() == tags
        assert house.snapshot()[lost.hex] == before[lost.hex]

    async def test_lost_blob_of_one_that_is_missing_tonight(self) -> None:
        house, cells = self.released(*ALL)
        lost = house.store.blobs(cells[2].descriptor)[2]  # type: ignore[arg-type]
        house.layout.blob_path(lost).unlink()
        self.changed(*cells[:2], failed("sw64"), house=house)
        self.expect_outcome(FAILURE)
        await self.run_step()
        assert self.report()["outcome"] == "failed"
        assert str(lost) in self.report()["reasons"][0]
        assert self.report()["lacked"].startswith("sw64's image is not whole: ")

    async def test_cancelled(self) -> None:
        house, cells = self.released(*ALL)
        self.changed(*cells, house=house)
        self.interrupt_when(publish_changed, "standing")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("releases")
        await self.run_step()
