"""A release in a registry where somebody else moves a tag at a moment that hurts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from registrybed import serving
from registryfaults import status
from registryhouse import REPOSITORY, TAGS, RegistryHouse, moves, newer
from releasebed import cell

from minios_steps.core.cell_result import CellResult
from minios_steps.core.errors import TagMovedError
from minios_steps.core.oci import media
from minios_steps.core.oci.index import build_index
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrybed import Bed, Handler

GONE = CellResult.no_worker(cell("sw64"), "attach one")


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as found:
        yield found


@pytest.fixture
def house(tmp_path: Path, bed: Bed) -> RegistryHouse:
    return RegistryHouse(tmp_path, bed.host)


class TestRaces:
    """Somebody else moves a tag at a moment that hurts."""

    def foreign(self, house: RegistryHouse) -> str:
        """Somebody else's index of the images that are there now; its digest."""
        index = house.index()
        other = build_index(index.entries, {**index.annotations, "by": "somebody else"})
        with house.connection() as connection:
            connection.release.set_tags(TAGS, other.raw, other.media_type)
        return str(other.descriptor.digest)

    def overtake(self, house: RegistryHouse, bed: Bed) -> None:
        """Play it when the index has been sent and nothing is claimed yet."""

        def behave(handler: Handler) -> None:
            self.moved = self.foreign(house)
            handler.route(handler.path)

        bed.fault("PUT", f"/{REPOSITORY}/manifests/_minios-claim", behave)

    def test_stop(self, house: RegistryHouse, bed: Bed) -> None:
        house.publish(house.good())
        cells = [newer(house), *house.good("aarch64", "sw64")]
        self.overtake(house, bed)
        since = len(bed.seen)
        with pytest.raises(TagMovedError, match=r"moved tag '1\.38\.0' meanwhile: .*; nothing was moved"):
            house.publish(cells)
        assert house.tags() == dict.fromkeys(TAGS, self.moved)
        ours = [tag for tag in moves(bed, since) if tag != "_minios-claim"]
        assert ours == list(TAGS), "which are somebody else's"

    def test_rebase(self, tmp_path: Path, bed: Bed) -> None:
        house = RegistryHouse(tmp_path, bed.host, more="  on_race: rebase\n", carry_over=True)
        house.publish(house.good())
        cells = [newer(house), *house.good("aarch64"), GONE]
        self.overtake(house, bed)
        done = house.publish(cells)
        assert (done.report.outcome, done.report.carried) == ("released", ("sw64",))
        assert house.tags() == dict.fromkeys(TAGS, done.report.index)
        assert done.record
        assert done.record.previous == dict.fromkeys(TAGS, self.moved)

    def test_rebase_is_bounded(self, tmp_path: Path, bed: Bed) -> None:
        house = RegistryHouse(tmp_path, bed.host, more="  on_race: rebase\n")
        house.publish(house.good())
        cells = [newer(house), *house.good("aarch64", "sw64")]
        for note in range(4):

            def behave(handler: Handler, note: int = note) -> None:
                other = build_index(house.index().entries, {"by": str(note)})
                with house.connection() as connection:
                    connection.release.set_tags(TAGS, other.raw, other.media_type)
                handler.route(handler.path)

            # Each try claims, and gives the claim back.
            bed.fault("PUT", "_minios-claim", behave)
            bed.fault("PUT", "_minios-claim", lambda handler: handler.route(handler.path))
        with pytest.raises(TagMovedError):
            house.publish(cells)

    def test_a_tag_that_is_new_meanwhile(self, house: RegistryHouse, bed: Bed) -> None:
        cells = house.good()

        def behave(handler: Handler) -> None:
            raw = b'{"schemaVersion":2,"manifests":[]}'
            bed.repo(REPOSITORY).manifests["latest"] = (raw, media.INDEX)
            handler.route(handler.path)

        bed.fault("PUT", f"/{REPOSITORY}/manifests/_minios-claim", behave)
        with pytest.raises(TagMovedError, match="moved tag 'latest' meanwhile"):
            house.publish(cells)
        assert list(house.tags()) == ["latest"]

    def test_between_two_tags(self, house: RegistryHouse, bed: Bed) -> None:
        first = house.publish(house.good())
        cells = [newer(house), *house.good("aarch64", "sw64")]

        def behave(handler: Handler) -> None:
            handler.route(handler.path)
            raw, kind = bed.repo(REPOSITORY).manifests[first.report.index]
            told = {**json.loads(raw), "annotations": {"by": "somebody else"}}
            bed.repo(REPOSITORY).manifests["1.38"] = (json.dumps(told).encode(), kind)

        bed.fault("PUT", f"/{REPOSITORY}/manifests/1.38.0$", behave)
        with pytest.raises(
            TagMovedError, match=r"moved tag '1\.38' meanwhile: .*; 1\.38\.0 had moved by then"
        ):
            house.publish(cells)
        assert house.tags()["latest"] == first.report.index

    def test_what_a_run_that_died_had_moved(self, house: RegistryHouse, bed: Bed) -> None:
        first = house.publish(house.good())
        cells = [newer(house), *house.good("aarch64", "sw64")]
        bed.fault("PUT", f"/{REPOSITORY}/manifests/1.38$", status(403, "DENIED"))
        with pytest.raises(RegistryError, match="DENIED"):
            house.publish(cells)
        assert len(set(house.tags().values())) == 2
        done = house.publish(cells)
        assert done.report.outcome == "released"
        assert house.tags() == dict.fromkeys(TAGS, done.report.index)
        assert done.record
        assert done.record.previous == dict.fromkeys(TAGS, first.report.index)
