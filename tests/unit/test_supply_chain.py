from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from registrybed import serving
from releasebed import ALL, House
from supplybed import TAG, Release, make_key, make_release

from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.registry.store import RegistryStore
from minios_steps.core.release import Releaser
from minios_steps.core.release_layout import LayoutTarget
from minios_steps.core.release_target import ReleaseContext, ReleasedImage
from minios_steps.core.supply.chain import SupplyChain
from minios_steps.core.supply.cosign import cosign_tag, read_parts
from minios_steps.core.supply.verify import verify_release
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.oci.store import ImageStore


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return make_release(tmp_path)


def context(release: Release, store: ImageStore, *, carried: bool = False) -> ReleaseContext:
    images = tuple(
        ReleasedImage(record.arch, record.descriptor, None if carried else record, carried)
        for record in release.records
    )
    index = release.index.descriptor
    return ReleaseContext(release.project, Version.parse(TAG), "static", index, images, (TAG,), store)


def named(store: ImageStore, release: Release) -> str:
    (part,) = read_parts(store, cosign_tag(release.index.descriptor.digest, "sig"))
    told = json.loads(part.data)["critical"]["identity"]["docker-reference"]
    assert isinstance(told, str)
    return told


def test_what_a_release_gets(release: Release, tmp_path: Path) -> None:
    store = LayoutStore(Layout(tmp_path / "out"))
    key = make_key()
    # As the releaser does: asked while the store has nothing yet.
    made = SupplyChain(lambda _: release.candidates.layout, key)(context(release, store))
    release.put_into(store)
    assert all(one.attach_to(store) for one in made)
    assert verify_release(store, TAG, release.project.arches, key.public).good
    assert named(store, release) == "tiny"


def test_a_repository_is_called_by_its_name(release: Release) -> None:
    with serving() as bed, bed.client() as client:
        store = RegistryStore(client, "team/tiny")
        release.put_into(store)
        for one in SupplyChain(lambda _: release.candidates.layout, make_key())(context(release, store)):
            one.attach_to(store)
        assert named(store, release) == f"{bed.host}/team/tiny"


def test_what_is_carried_over_is_signed_only(release: Release, tmp_path: Path) -> None:
    store = LayoutStore(Layout(tmp_path / "out"))
    release.put_into(store)
    made = SupplyChain(lambda _: release.candidates.layout, make_key())(context(release, store, carried=True))
    assert [one.tag.rpartition(".")[2] for one in made] == ["sig"] * 3
    assert SupplyChain(lambda _: release.candidates.layout)(context(release, store, carried=True)) == ()


def test_a_release_into_a_layout_is_signed_and_then_unchanged(tmp_path: Path) -> None:
    house = House(tmp_path)
    cells = house.good(*ALL)
    key = make_key()

    def publish() -> str:
        target = LayoutTarget(house.layout, house.store)
        releaser = Releaser(
            house.project, house.store, target, attachments=SupplyChain(target.candidates, key)
        )
        return releaser.publish(Version.parse(TAG), "static", cells, ALL).report.outcome

    assert publish() == "released"
    report = verify_release(LayoutStore(house.layout), TAG, house.project.arches, key.public)
    assert report.good, report.faults
    assert not [one for one in report.checks if one.detail.startswith("only as")]
    before = house.snapshot()
    assert publish() == "unchanged"
    assert house.snapshot() == before
    assert house.tags == ["1.38", "1.38.0", "latest"]
