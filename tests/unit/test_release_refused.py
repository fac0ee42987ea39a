"""`Releaser`: bytes that do not hold what they claim, and a layout that cannot be written."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from releasebed import (
    ALL,
    MACHINES,
    House,
    cell,
    put_candidate,
)
from tinyelf import make_elf

from minios_steps.core import release
from minios_steps.core.cell_result import CellResult
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class TestRefused:
    """A good cell is believed only after its bytes were read again."""

    def refused(self, house: House, result: CellResult, reason: str) -> None:
        """The cell is refused and, as it is required, nothing is written."""
        report, final = house.publish([result, *house.good("aarch64", "sw64")])
        assert (final["x86_64"].outcome, report.outcome) == ("refused", "blocked")
        assert reason in final["x86_64"].reason
        assert report.reasons[0] == f"x86_64 (required) refused: {final['x86_64'].reason}"
        assert not house.layout.root.exists()

    def put(self, house: House, **how: Any) -> CellResult:
        return CellResult.built(cell(), put_candidate(house.store, house.project, cell(), **how).as_json())

    def test_bytes_were_swapped(self, house: House) -> None:
        mine, other = house.good("x86_64", "aarch64")
        house.layer_of(mine).write_bytes(house.layer_of(other).read_bytes())
        self.refused(house, mine, "is damaged: its bytes have another digest")

    def test_layer_is_gone(self, house: House) -> None:
        (mine,) = house.good("x86_64")
        house.layer_of(mine).unlink()
        self.refused(house, mine, "is missing")

    def test_program_of_another_machine(self, house: House) -> None:
        mine = self.put(house, program=make_elf(MACHINES["sw64"], kind=2))
        self.refused(house, mine, "bin/busybox: expected 64-bit little-endian machine 62 (x86-64)")

    def test_dynamic_program_in_a_static_image(self, house: House) -> None:
        mine = self.put(house, program=make_elf(62, interpreter="/lib/ld.so.1", needed=["libc.so.6"]))
        self.refused(house, mine, "bin/busybox is dynamic in a static image")

    def test_other_inputs(self, house: House) -> None:
        mine = self.put(house)
        other = put_candidate(house.store, house.project, cell(), identity="gcc version 13.1.0\n")
        mine = dataclasses.replace(mine, key=str(other.key))
        self.refused(house, mine, f"annotation {keys.CELL_KEY}: expected '{other.key}'")

    def test_other_variant(self, house: House) -> None:
        self.refused(house, self.put(house, variant="dynamic"), f"annotation {keys.VARIANT}")

    def test_another_arches_image(self, house: House) -> None:
        (other,) = house.good("aarch64")
        mine = dataclasses.replace(other, arch="x86_64")
        self.refused(house, mine, "expected an image for linux/amd64, found one for linux/arm64")

    def test_no_candidate(self, house: House) -> None:
        mine = CellResult("x86_64", "1.38.0", "static", "built")
        self.refused(house, mine, "the cell names no candidate")

    def test_optional_one_is_left_out(self, house: House) -> None:
        results = house.good(*ALL)
        house.layer_of(results[2]).write_bytes(b"")
        report, final = house.publish(results)
        assert (report.outcome, report.left_out) == ("released", {"sw64": "refused"})
        assert final["sw64"].outcome == "refused"
        assert house.platforms("latest") == ["linux/amd64", "linux/arm64"]

    def test_reused_one_is_read_again_too(self, house: House) -> None:
        mine = dataclasses.replace(house.good("x86_64")[0], outcome="reused")
        house.layer_of(mine).unlink()
        self.refused(house, mine, "is missing")


class TestLayout:
    def test_something_else_is_in_its_place(self, house: House) -> None:
        house.layout.root.mkdir(parents=True)
        (house.layout.root / "precious").touch()
        with pytest.raises(ImageError, match="is there and is no OCI image layout"):
            house.publish(house.good(*ALL))
        assert [path.name for path in house.layout.root.iterdir()] == ["precious"]

    def test_bytes_that_go_between_judging_and_copying(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house.publish(house.good(*ALL))
        before = house.snapshot()
        newer = put_candidate(house.store, house.project, cell(), identity="gcc version 13.1.0\n")
        (layer,) = house.store.blobs(newer.descriptor)[2:]
        real = release.decide

        def late(*args: Any, **kwargs: Any) -> Any:
            house.layout_blob(layer).write_bytes(b"swapped")
            return real(*args, **kwargs)

        monkeypatch.setattr(release, "decide", late)
        # The same layer's bytes must not be there already.
        house.layout.blob_path(layer).unlink()
        with pytest.raises(ImageError, match=f"expected sha256 {layer.hex}"):
            house.publish([CellResult.built(cell(), newer.as_json()), *house.good("aarch64", "sw64")])
        assert house.layout.tags()["latest"].digest.hex in before
        assert house.snapshot()["index.json"] == before["index.json"]

    def test_does_not_read_back(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        house.layout.create()
        monkeypatch.setattr(Layout, "publish", lambda *_args, **_kwargs: True)
        with pytest.raises(ImageError, match=r"tag '1\.38\.0' does not read back as it was written"):
            house.publish(house.good(*ALL))

    def test_previous_index_is_damaged(self, house: House) -> None:
        house.publish(house.good(*ALL))
        known = house.layout.tags()["1.38.0"]
        house.layout.blob_path(known.digest).write_bytes(b"{}")
        with pytest.raises(ImageError, match=f"blob {known.digest} is damaged"):
            house.publish(house.good(*ALL))
