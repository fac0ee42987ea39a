from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from registrybed import Bed, serving
from registryfaults import status
from sealedbed import put_release, seal, side_tag, sign
from supplybed import TAG, make_key, make_release

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.copying import Copied, Copier, Step
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.store import RegistryStore
from minios_steps.core.supply.verify import verify_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minios_steps.core.oci.index import Index
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.registry.client import Registry

CHANGES = ("POST", "PATCH", "PUT", "DELETE")
LIMIT = 1 << 20


@pytest.fixture
def layout(tmp_path: Path) -> LayoutStore:
    return LayoutStore(Layout(tmp_path / "source"))


@pytest.fixture
def index(layout: LayoutStore, tmp_path: Path) -> Index:
    return put_release(layout, tmp_path)


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as made:
        yield made


@pytest.fixture
def client(bed: Bed) -> Iterator[Registry]:
    with bed.client() as made:
        yield made


@pytest.fixture
def registry(client: Registry) -> RegistryStore:
    return RegistryStore(client, "team/app")


def copy(source: ImageStore, target: ImageStore, ref: str = "latest", tag: str = "latest") -> Copied:
    return Copier(source, target).copy(ref, tag)


def everything(store: ImageStore, digest: Digest) -> dict[str, bytes]:
    """A manifest, and all that is below it and about it, by digest or cosign's tag."""
    found = store.manifest(digest)
    told = json.loads(found.raw)
    all_of_it = {str(digest): found.raw}
    for entry in told.get("manifests", []):
        all_of_it |= everything(store, Digest.parse(entry["digest"]))
    for blob in [*told.get("layers", []), *([told["config"]] if "config" in told else [])]:
        all_of_it[blob["digest"]] = store.read(Digest.parse(blob["digest"]), LIMIT)
    for referrer in store.referrers(digest):
        all_of_it |= everything(store, referrer.descriptor.digest)
    if there := store.head(side_tag(digest)):
        all_of_it |= {side_tag(digest): b"", **everything(store, there.digest)}
    return all_of_it


def test_there_and_back_with_everything_about_it(
    layout: LayoutStore, index: Index, registry: RegistryStore, tmp_path: Path
) -> None:
    about = seal(layout, index)
    digest = index.descriptor.digest
    before = everything(layout, digest)
    assert set(map(str, about)) < set(before)
    there = copy(layout, registry, "1.38.0", "stable")
    assert (there.digest, there.images, there.moved) == (digest, 2, True)
    assert there.referrers == len(about) + 1, "with the record"
    assert registry.tags() == ("stable",)
    assert everything(registry, digest) == before
    back = LayoutStore(Layout(tmp_path / "back"))
    again = copy(registry, back, "stable")
    assert (again.images, again.referrers, again.sent) == (there.images, there.referrers, there.sent)
    assert (
        again.bytes == there.bytes == sum(len(raw) for name, raw in before.items() if is_blob(before, name))
    )
    assert everything(back, digest) == before
    back.layout.collect()
    assert everything(back, digest) == before


def is_blob(all_of_it: dict[str, bytes], name: str) -> bool:
    """Whether it is no manifest, nor a tag."""
    return bool(all_of_it[name]) and b"schemaVersion" not in all_of_it[name]


def test_children_come_before_their_index_and_the_tag_last(
    layout: LayoutStore, index: Index, registry: RegistryStore, bed: Bed
) -> None:
    seal(layout, index)
    copy(layout, registry)
    puts = [line.rpartition("/")[2] for line in bed.methods("PUT") if "/manifests/" in line]
    digest = index.descriptor.digest
    assert max(puts.index(str(entry.digest)) for entry in index.entries) < puts.index(str(digest))
    assert puts[-1] == "latest"
    assert puts.count("latest") == 1
    lists = [put for put in puts if put.startswith("sha256-") and "." not in put]
    assert max(map(puts.index, lists)) < puts.index("latest")


def test_the_second_copy_sends_nothing(
    layout: LayoutStore, index: Index, registry: RegistryStore, bed: Bed, tmp_path: Path
) -> None:
    seal(layout, index)
    first = copy(layout, registry)
    changes = bed.methods(*CHANGES)
    second = copy(layout, registry)
    assert (second.sent, second.bytes, second.manifests, second.moved) == (0, 0, 0, False)
    assert second.there == first.sent + first.there
    assert bed.methods(*CHANGES) == changes
    target = LayoutStore(Layout(tmp_path / "target"))
    copy(layout, target)
    state = (target.layout.root / "index.json").stat().st_mtime_ns
    again = copy(layout, target)
    assert (again.sent, again.manifests, again.moved) == (0, 0, False)
    assert (target.layout.root / "index.json").stat().st_mtime_ns == state


def test_a_signature_that_was_added_later_is_copied(
    layout: LayoutStore, index: Index, registry: RegistryStore
) -> None:
    copy(layout, registry)
    seal(layout, index)
    told = copy(layout, registry)
    assert told.moved, "cosign's tag is new"
    assert everything(registry, told.digest) == everything(layout, told.digest)


def test_blobs_are_mounted_within_a_registry(
    layout: LayoutStore, index: Index, client: Registry, registry: RegistryStore, bed: Bed
) -> None:
    copy(layout, registry)
    sent = len(bed.methods("PUT"))
    other = RegistryStore(client, "team/other")
    mount = other.repository
    told = Copier(registry, other, mount=lambda one: mount.mount_blob(one, "team/app")).copy("latest", "x")
    assert (told.sent, told.bytes) == (0, 0)
    assert told.mounted == 6
    assert {line.split("/")[4] for line in bed.methods("PUT")[sent:]} == {"manifests"}
    assert everything(other, index.descriptor.digest) == everything(layout, index.descriptor.digest)


def test_a_registry_that_does_not_mount(
    layout: LayoutStore, index: Index, client: Registry, registry: RegistryStore, bed: Bed
) -> None:
    copy(layout, registry)
    digest = layout.manifest(index.entries[0].digest)
    config = Digest.parse(json.loads(digest.raw)["config"]["digest"])
    mount = RegistryStore(client, "team/other").repository.mount_blob
    assert not mount(config, "team/absent")
    assert bed.uploads == {}, "the upload it opened instead is given up"
    bed.fault("POST", "mount=", status(405, "UNSUPPORTED"))
    assert not mount(config, "team/app")
    bed.fault("POST", "mount=", status(403, "DENIED"))
    assert not mount(config, "team/app")
    assert mount(config, "team/app")
    with pytest.raises(RegistryError, match="not a repository"):
        mount(config, "UPPER")


def test_a_signed_release_is_good_where_it_was_copied_to(
    layout: LayoutStore, registry: RegistryStore, tmp_path: Path
) -> None:
    made, key = make_release(tmp_path), make_key()
    made.put_into(layout)
    made.attach(layout, key)
    copy(layout, registry, TAG, TAG)
    report = verify_release(registry, TAG, made.project.arches, key.public)
    assert report.good, report.faults
    assert report.digest == str(made.index.descriptor.digest)
    assert copy(layout, registry, TAG, TAG).sent == 0


def test_a_copy_that_failed_goes_on_where_it_was(
    layout: LayoutStore, index: Index, registry: RegistryStore, bed: Bed
) -> None:
    bed.fault("PUT", f"manifests/{index.descriptor.digest}", status(403, "DENIED"))
    with pytest.raises(RegistryError, match="DENIED"):
        copy(layout, registry)
    assert registry.tags() == ()
    done = set(bed.methods("PUT"))
    told = copy(layout, registry)
    assert (told.sent, told.there) == (2, 4), "the record's two blobs were left"
    assert not done & set(bed.methods("PUT")[len(done) :]) - {
        f"PUT /v2/team/app/manifests/{index.descriptor.digest}"
    }


def test_a_tag_is_moved_only_at_the_end(
    layout: LayoutStore, index: Index, registry: RegistryStore, bed: Bed, tmp_path: Path
) -> None:
    copy(layout, registry)
    newer = put_release(layout, tmp_path, note="newer", platforms=("linux/amd64", "linux/sw64"))
    bed.fault("PUT", f"manifests/{newer.descriptor.digest}", status(403, "DENIED"))
    with pytest.raises(RegistryError):
        copy(layout, registry)
    assert registry.manifest("latest").digest == index.descriptor.digest
    copy(layout, registry)
    assert registry.manifest("latest").digest == newer.descriptor.digest


def test_steps_are_told(layout: LayoutStore, index: Index, registry: RegistryStore) -> None:
    steps: list[Step] = []
    Copier(layout, registry, report=steps.append).copy("latest", "latest")
    assert [(step.kind, step.about) for step in steps[:3]] == [
        ("image", "linux/amd64"),
        ("image", "linux/arm64/v8"),
        ("index", ""),
    ]
    assert steps[3].kind == "referrer"
    assert steps[2].digest == index.descriptor.digest
    assert all(step.sent == 2 and step.bytes > 100 for step in steps[:2])


def test_a_single_image(layout: LayoutStore, index: Index, registry: RegistryStore) -> None:
    entry = index.entries[0]
    told = Copier(layout, registry).copy(entry.digest, "alone")
    assert (told.digest, told.images) == (entry.digest, 1)
    assert registry.manifest("alone").raw == layout.manifest(entry.digest).raw


def test_signatures_of_the_target_are_not_lost(
    layout: LayoutStore, index: Index, registry: RegistryStore
) -> None:
    copy(layout, registry)
    digest = index.descriptor.digest
    sign(registry, digest, "theirs")
    sign(layout, digest, "ours")
    with pytest.raises(ImageError, match=r"\.sig has what oci:.* lacks") as caught:
        copy(layout, registry)
    assert "delete that tag" in caught.value.hint
    signed = sign(layout, digest, "theirs", "ours")
    copy(layout, registry)
    assert registry.manifest(side_tag(digest)).digest == signed
