"""`verify_release` on what is released: an index, its images, their blobs, and what each says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from releasebed import cell, put_candidate
from shelfbed import AMD, Shelf
from supplybed import REFERENCE, TAG
from tinyelf import make_elf

from minios_steps.core.digest import Digest
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.docker_form import docker_form
from minios_steps.core.oci.index import Index, build_index
from minios_steps.core.oci.media import DOCKER_INDEX, DOCKER_MANIFEST, INDEX
from minios_steps.core.oci.model import Descriptor, encode
from minios_steps.core.supply.attachments import Subject, attachments
from minios_steps.core.supply.papers import Papers
from minios_steps.core.supply.verify import verify_release

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_index_is_damaged(shelf: Shelf) -> None:
    shelf.sign().spoil(shelf.release.index.descriptor.digest)
    assert shelf.faults() == [("index", "digest", "bad")]


def test_an_images_manifest_is_damaged(shelf: Shelf) -> None:
    shelf.sign().spoil(shelf.image.digest)
    # Without it there is no cell key that the provenance could agree with.
    assert shelf.faults() == [(AMD, "manifest", "bad"), (AMD, "provenance", "bad")]


@pytest.mark.parametrize("part", ["config", "layer"])
def test_a_blob_is_damaged(part: str, shelf: Shelf) -> None:
    manifest = shelf.sign().manifest(shelf.image.digest)
    shelf.spoil((manifest.config if part == "config" else manifest.layers[0]).digest)
    assert shelf.faults() == [(AMD, "blobs", "bad"), (AMD, "program", "bad")]


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_a_blob_is_missing(part: str, shelf: Shelf) -> None:
    manifest = shelf.sign().manifest(shelf.image.digest)
    gone = {"manifest": shelf.image, "config": manifest.config, "layer": manifest.layers[0]}[part]
    shelf.store.layout.blob_path(gone.digest).unlink()
    assert (AMD, "manifest" if part == "manifest" else "blobs", "bad") in shelf.faults()


def replace_image(shelf: Shelf, image: Descriptor) -> None:
    """An index that says another image is that of linux/amd64."""
    annotations = shelf.release.index.annotations
    shelf.move(build_index([image, *shelf.release.index.entries[1:]], annotations))


def test_a_program_for_another_machine(shelf: Shelf) -> None:
    record = put_candidate(
        shelf.release.candidates, shelf.release.project, cell(), program=make_elf(183, kind=2)
    )
    _, config, layer = shelf.release.candidates.blobs(record.descriptor)
    for digest in (config, layer, record.descriptor.digest):
        shelf.store.put_blob(shelf.release.candidates.layout.blob_path(digest), digest)
    replace_image(shelf, replace(record.descriptor, annotations={keys.CELL_KEY: str(record.key)}))
    # Whoever holds the key signed it all the same.
    index = shelf.store.head(TAG)
    assert index
    images = [Subject(record.descriptor, record.inputs, shelf.store)]
    papers = Papers(shelf.store, shelf.key, REFERENCE)
    for made in attachments(papers, shelf.release.project, index, images):
        made.attach_to(shelf.store)
    assert (AMD, "program", "bad") in shelf.faults()
    assert "expected 64-bit little-endian machine 62 (x86-64)" in shelf.detail(AMD, "program")


def changed_image(shelf: Shelf, config: dict[str, Any]) -> Descriptor:
    """The image of linux/amd64 with another config."""
    old = shelf.manifest(shelf.image.digest)
    told = {**json.loads(shelf.store.read(old.config.digest, 1 << 20)), **config}
    raw = encode(told)
    shelf.store.put_blob(raw, Digest.of(raw))
    manifest = json.loads(old.raw)
    manifest["config"].update(digest=str(Digest.of(raw)), size=len(raw))
    raw = encode(manifest)
    shelf.store.put_manifest(raw, shelf.image.media_type)
    entry = shelf.release.index.entries[0]
    return replace(entry, digest=Digest.of(raw), size=len(raw))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}, "the layer's diff id"),
        ({"architecture": "arm64"}, "expected an image for linux/amd64"),
    ],
)
def test_a_config_that_lies(config: dict[str, Any], said: str, shelf: Shelf) -> None:
    shelf.sign()
    replace_image(shelf, changed_image(shelf, config))
    assert said in shelf.detail(AMD, "program")
    # Nobody signed this one.
    assert {("index", "signature", "missing"), (AMD, "signature", "missing"), (AMD, "program", "bad")} <= {
        *shelf.faults()
    }


@pytest.mark.parametrize(("key", "outcome"), [("sha256:" + "0" * 64, "bad"), ("", "missing")])
def test_index_and_image_disagree_about_the_cell_key(key: str, outcome: str, shelf: Shelf) -> None:
    shelf.sign()
    replace_image(shelf, replace(shelf.image, annotations={keys.CELL_KEY: key} if key else {}))
    assert (AMD, "cell key", outcome) in shelf.faults()


def test_an_index_with_two_images_for_a_platform(shelf: Shelf) -> None:
    told = json.loads(shelf.sign().release.index.raw)
    told["manifests"].append(told["manifests"][0])
    raw = encode(told)
    shelf.move(Index(raw, INDEX, ()))
    assert ("index", "images", "bad") in shelf.faults()


def test_a_platform_that_nobody_knows(shelf: Shelf) -> None:
    shelf.sign()
    arches = {"aarch64": shelf.release.project.arches["aarch64"]}
    report = verify_release(shelf.store, TAG, arches, shelf.key.public)
    assert [(one.of, one.what) for one in report.faults] == [(AMD, "program")]
    assert report.faults[0].detail == "no CPU of the configuration has the platform linux/amd64"


def test_a_release_in_dockers_form(shelf: Shelf) -> None:
    """Its list has no place for annotations, so the images' labels tell."""
    made, store = shelf.release, shelf.store
    images, subjects = [], []
    for record in made.records:
        manifest = shelf.manifest(record.descriptor.digest)
        config = store.read(manifest.config.digest, 1 << 20)
        image = docker_form(record.descriptor, manifest.raw, config)
        store.put_blob(image.config, Digest.of(image.config))
        store.put_manifest(image.manifest, DOCKER_MANIFEST)
        images.append(image.descriptor)
        subjects.append(Subject(image.descriptor, record.inputs, store))
    index = build_index(images, {}, media_type=DOCKER_INDEX)
    store.put_manifest(index.raw, DOCKER_INDEX)
    store.set_tags([TAG], index.raw, DOCKER_INDEX)
    for one in attachments(Papers(store, shelf.key, REFERENCE), made.project, index.descriptor, subjects):
        one.attach_to(store)
    assert not shelf.faults()
    assert shelf.detail(AMD, "cell key") == f"{made.records[0].key}, as the image says"
    shelf.spoil(shelf.manifest(images[0].digest).config.digest)
    assert (AMD, "blobs", "bad") in shelf.faults()
