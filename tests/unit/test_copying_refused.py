from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from registrybed import Bed, serving
from sealedbed import put_release

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.copying import Copied, Copier
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.model import encode
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minios_steps.core.oci.index import Index
    from minios_steps.core.oci.store import ImageStore


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
def registry(bed: Bed) -> Iterator[RegistryStore]:
    with bed.client() as client:
        yield RegistryStore(client, "team/app")


def copy(source: ImageStore, target: ImageStore, ref: str = "latest", tag: str = "latest") -> Copied:
    return Copier(source, target).copy(ref, tag)


def test_no_such_tag(layout: LayoutStore, registry: RegistryStore, bed: Bed) -> None:
    with pytest.raises(ImageError, match="no tag 'absent'"):
        copy(layout, registry, "absent")
    assert bed.seen == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_child_is_missing(layout: LayoutStore, index: Index, registry: RegistryStore, number: int) -> None:
    layout.layout.blob_path(index.entries[number].digest).unlink()
    with pytest.raises(ImageError, match="missing"):
        copy(layout, registry)
    assert registry.tags() == ()


def test_a_damaged_layer(layout: LayoutStore, index: Index, registry: RegistryStore) -> None:
    told = json.loads(layout.manifest(index.entries[1].digest).raw)
    path = layout.layout.blob_path(Digest.parse(told["layers"][0]["digest"]))
    path.write_bytes(b"x" * path.stat().st_size)
    for files in (None, layout.layout.blob_path):
        with pytest.raises(ImageError, match=r"digest|expected"):
            Copier(layout, registry, path_of=files).copy("latest", "latest")
    assert registry.tags() == ()


def test_an_index_that_lies_about_a_child(layout: LayoutStore, index: Index, registry: RegistryStore) -> None:
    told = json.loads(index.raw)
    told["manifests"][0]["size"] += 1
    layout.put_manifest(encode(told), media.INDEX)
    with pytest.raises(ImageError, match="its index says"):
        Copier(layout, registry).copy(Digest.of(encode(told)), "x")


def test_what_is_neither_image_nor_index(layout: LayoutStore, registry: RegistryStore) -> None:
    raw = encode({"schemaVersion": 2, "mediaType": "application/x.other"})
    layout.put_manifest(raw, "application/x.other")
    with pytest.raises(ImageError, match="neither an image nor an index"):
        Copier(layout, registry).copy(Digest.of(raw), "x")


def test_an_index_that_is_nested_too_deep(layout: LayoutStore, index: Index, registry: RegistryStore) -> None:
    raw = index.raw
    for _ in range(20):
        entry = {"mediaType": media.INDEX, "digest": str(Digest.of(raw)), "size": len(raw)}
        raw = encode({"schemaVersion": 2, "mediaType": media.INDEX, "manifests": [entry]})
        layout.put_manifest(raw, media.INDEX)
    with pytest.raises(ImageError, match="more than 16 manifests deep"):
        Copier(layout, registry).copy(Digest.of(raw), "x")


def test_a_target_that_reads_back_differently(
    layout: LayoutStore,
    index: Index,  # noqa: ARG001  # it is there
    registry: RegistryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "set_tags", lambda *_: registry.put_manifest(b"{}", media.INDEX))
    with pytest.raises(ImageError):
        copy(layout, registry)
