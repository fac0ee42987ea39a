"""A registry that fails while it is pushed to and released into: the tags stay, or the release is whole."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from registrybed import Bed, serving
from registryfaults import done_but_cut, drop, status
from registryhouse import REPOSITORY, TAGS, RegistryHouse, newer

from minios_steps.core.errors import ImageError, MiniosError
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrybed import Fault, Handler

    from minios_steps.core.cell_result import CellResult

BUSY = status(429, headers={"Retry-After": "0"})
PASSING: dict[str, tuple[str, str, Fault]] = {
    "500 while a blob is mounted": ("POST", f"{REPOSITORY}/blobs/uploads", status(500)),
    "429 for a manifest": (
        "PUT",
        f"{REPOSITORY}/manifests/sha256:",
        status(429, headers={"Retry-After": "0"}),
    ),
    "cut off while a candidate is read": ("GET", f"{REPOSITORY}/aarch64/blobs/", drop),
    "cut off after the index came": ("PUT", f"{REPOSITORY}/manifests/sha256:", done_but_cut),
    "503 for a tag": ("PUT", f"{REPOSITORY}/manifests/1.38$", status(503)),
    "cut off after a tag moved": ("PUT", f"{REPOSITORY}/manifests/latest$", done_but_cut),
    "502 while it is read back": ("GET", f"{REPOSITORY}/manifests/latest$", status(502)),
    "503 for the claim": ("PUT", "_minios-claim", status(503)),
}
FINAL: dict[str, tuple[str, str, Fault]] = {
    "a blob is refused": ("PUT", f"{REPOSITORY}/blobs/uploads/", status(400, "BLOB_UPLOAD_INVALID")),
    "a manifest is refused": ("PUT", f"{REPOSITORY}/manifests/sha256:", status(400, "MANIFEST_INVALID")),
    "the first tag is refused": ("PUT", f"{REPOSITORY}/manifests/1.38.0$", status(403, "DENIED")),
    "the claim is refused": ("PUT", "_minios-claim", status(403, "DENIED")),
}


def lying(handler: Handler) -> None:
    """Takes a manifest, and calls it by another digest."""
    handler.body()
    handler.answer(201, {"Docker-Content-Digest": "sha256:" + "0" * 64})


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as found:
        yield found


@pytest.fixture
def house(tmp_path: Path, bed: Bed) -> RegistryHouse:
    return RegistryHouse(tmp_path, bed.host)


def second(house: RegistryHouse) -> tuple[str, list[CellResult]]:
    """The index of a first release, and the cells of the next."""
    first = house.publish(house.good()).report.index
    return first, [newer(house), *house.good("aarch64", "sw64")]


@pytest.mark.parametrize("name", PASSING)
def test_what_passes(name: str, bed: Bed, house: RegistryHouse) -> None:
    first, cells = second(house)
    bed.fault(*PASSING[name])
    done = house.publish(cells)
    assert not bed.faults, "it was not played"
    assert (done.report.outcome, done.report.index != first) == ("released", True)
    assert {house.check(tag) for tag in TAGS} == {done.report.index}
    assert any("trying again" in line for line in house.said)


@pytest.mark.parametrize("name", FINAL)
def test_what_ends_the_release(name: str, bed: Bed, house: RegistryHouse) -> None:
    first, cells = second(house)
    bed.fault(*FINAL[name])
    with pytest.raises(RegistryError, match=f"{bed.host}/{REPOSITORY}.*: HTTP 40. .*: made up"):
        house.publish(cells)
    assert {house.check(tag) for tag in TAGS} == {first}
    done = house.publish(cells)
    assert {house.check(tag) for tag in TAGS} == {done.report.index}, "the next run finishes it"


def test_another_digest_in_the_answer(bed: Bed, house: RegistryHouse) -> None:
    first, cells = second(house)
    bed.fault("PUT", f"{REPOSITORY}/manifests/1.38.0$", lying)
    with pytest.raises(ImageError, match="the registry says 'sha256:000"):
        house.publish(cells)
    assert house.check("latest") == first


def test_it_is_down_before(tmp_path: Path) -> None:
    silent = Bed(listens=False)
    silent.server_bind()
    house = RegistryHouse(tmp_path, silent.host)
    try:
        with pytest.raises(RegistryError, match=f"{silent.host}/{REPOSITORY}/x86_64: .*refused"):
            house.good("x86_64")
    finally:
        silent.server_close()


@pytest.mark.parametrize("after", range(0, 60, 6))
def test_it_goes_down_in_the_middle(after: int, bed: Bed, house: RegistryHouse) -> None:
    first, cells = second(house)
    down = Down(bed, after)
    with contextlib.suppress(MiniosError):
        house.publish(cells)
    down.over()
    found = {house.check(tag) for tag in TAGS}
    done = house.publish(cells)
    assert found <= {first, done.report.index}
    assert {house.check(tag) for tag in TAGS} == {done.report.index}


class Down:
    """A registry that answers `after` more requests, and then none."""

    def __init__(self, bed: Bed, after: int) -> None:
        self.bed = bed
        self.until = len(bed.seen) + after
        bed.faults = self  # type: ignore[assignment]

    def __iter__(self) -> Iterator[tuple[str, str, Fault]]:
        if len(self.bed.seen) > self.until:
            yield self.bed.seen[-1].method, "", drop

    def __delitem__(self, _: int) -> None:
        """It stays down."""

    def over(self) -> None:
        self.bed.faults = []
