from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from releasebed import cell, put_candidate
from supplybed import REFERENCE, TAG, make_key, make_release
from tinyelf import make_elf

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.docker_form import docker_form
from minios_steps.core.oci.index import Index, build_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.media import DOCKER_INDEX, DOCKER_MANIFEST, INDEX
from minios_steps.core.oci.model import Descriptor, RawManifest, encode
from minios_steps.core.supply.attachments import Subject, attachments, describe
from minios_steps.core.supply.cosign import (
    attestation_part,
    build_attached,
    claim,
    cosign_tag,
    signature_part,
)
from minios_steps.core.supply.dsse import sign_statement
from minios_steps.core.supply.papers import Papers, plain_artifact
from minios_steps.core.supply.provenance import provenance
from minios_steps.core.supply.sbom import bill
from minios_steps.core.supply.verify import verify_release

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.supply.keys import SigningKey, VerifyKey
    from minios_steps.core.supply.material import Material
    from minios_steps.core.supply.report import VerifyReport

AMD, ARM = "linux/amd64", "linux/arm64"


class Shelf:
    """A signed release in a layout, and ways to spoil it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.release = make_release(folder)
        self.key = make_key()
        self.store = LayoutStore(Layout(folder / "out"))
        self.release.put_into(self.store)

    @property
    def image(self) -> Descriptor:
        """The one of linux/amd64."""
        return self.release.images[0]

    @property
    def material(self) -> Material:
        record = self.release.records[0]
        return describe(self.image, record.inputs, self.release.project, self.store, {})

    def sign(self, key: SigningKey | None = None) -> Shelf:
        self.release.attach(self.store, key or self.key)
        return self

    def plain(self) -> Shelf:
        self.release.attach(self.store, None)
        return self

    def verify(self, key: VerifyKey | None = None, *, unsigned: bool = False) -> VerifyReport:
        chosen = None if unsigned else key or self.key.public
        return verify_release(self.store, TAG, self.release.project.arches, chosen)

    def faults(self, *, unsigned: bool = False) -> list[tuple[str, str, str]]:
        return [(one.of, one.what, one.outcome) for one in self.verify(unsigned=unsigned).faults]

    def detail(self, of: str, what: str) -> str:
        return next(one.detail for one in self.verify().checks if (one.of, one.what) == (of, what))

    def spoil(self, digest: Digest, change: Callable[[bytes], bytes] = lambda data: data[:-1] + b"!") -> None:
        """Change a blob's file, and leave its name."""
        path = self.store.layout.blob_path(digest)
        path.write_bytes(change(path.read_bytes()))

    def forget(self, subject: Digest, *, kind: str = "", tag: bool = False) -> None:
        """Take the list of referrers away, or one of cosign's tags."""
        path = self.store.layout.root / "index.json"
        told = json.loads(path.read_bytes())
        gone = f"sha256-{subject.hex}" + (f".{kind}" if tag else "")
        told["manifests"] = [
            one
            for one in told["manifests"]
            if one["annotations"]["org.opencontainers.image.ref.name"] != gone
        ]
        path.write_bytes(encode(told))

    def move(self, index: Index) -> None:
        """Let the tag be another index."""
        self.store.put_manifest(index.raw, INDEX)
        self.store.set_tags([TAG], index.raw, INDEX)

    def manifest(self, digest: Digest) -> RawManifest:
        return RawManifest.parse(self.store.manifest(digest).raw)

    def attest(self, *statements: Any, key: SigningKey | None = None) -> None:
        """Put these, and no others, under the image's tag and on its list."""
        chosen = key or self.key
        parts = [
            attestation_part(sign_statement(one.encode(), chosen), one.predicate_type) for one in statements
        ]
        self.forget(self.image.digest)
        build_attached(self.image, "att", parts).attach_to(self.store)
        for made in Papers(self.store, self.key, REFERENCE).signature(self.image):
            made.attach_to(self.store)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_release_that_is_good(shelf: Shelf) -> None:
    report = shelf.sign().verify()
    assert report.good
    assert report.digest == str(shelf.release.index.descriptor.digest)
    image = ["manifest", "blobs", "cell key", "program", "signature", "sbom", "provenance"]
    assert [(one.of, one.what) for one in report.checks] == [
        *(("index", what) for what in ("digest", "signature", "images")),
        *((of, what) for of in (AMD, ARM) for what in image),
    ]
    assert {one.outcome for one in report.checks} == {"good"}
    assert report.as_json()["checks"][0]["outcome"] == "good"


def test_by_its_digest(shelf: Shelf) -> None:
    digest = shelf.sign().release.index.descriptor.digest
    assert verify_release(shelf.store, digest, shelf.release.project.arches, shelf.key.public).good


def test_without_a_key_signatures_are_not_checked(shelf: Shelf) -> None:
    report = shelf.sign(make_key()).verify(unsigned=True)
    assert report.good
    assert {(one.what, one.outcome) for one in report.checks if one.outcome != "good"} == {
        ("signature", "unchecked")
    }


def test_what_nobody_signed(shelf: Shelf) -> None:
    shelf.plain()
    assert not shelf.faults(unsigned=True)
    assert shelf.faults() == [
        ("index", "signature", "missing"),
        *((of, what, "missing") for of in (AMD, ARM) for what in ("signature", "sbom", "provenance")),
    ]
    assert shelf.detail(AMD, "sbom") == "there is only an unsigned one"


def test_nothing_is_attached(shelf: Shelf) -> None:
    papers = [(of, what, "missing") for of in (AMD, ARM) for what in ("sbom", "provenance")]
    assert shelf.faults(unsigned=True) == papers


def test_another_key(shelf: Shelf) -> None:
    shelf.sign(make_key())
    assert shelf.faults() == [
        ("index", "signature", "bad"),
        *((of, what, "bad") for of in (AMD, ARM) for what in ("signature", "sbom", "provenance")),
    ]
    said = "none of 1 signatures is by this key"
    assert shelf.detail("index", "signature") == f"tag: {said}; referrer: {said}"


def test_a_second_key_does_no_harm(shelf: Shelf) -> None:
    shelf.sign().sign(make_key())
    assert not shelf.faults()


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


def test_the_signature_of_another_manifest(shelf: Shelf) -> None:
    other = claim(shelf.release.images[1].digest, REFERENCE)
    shelf.sign().forget(shelf.image.digest)
    build_attached(shelf.image, "sig", [signature_part(other, shelf.key)]).attach_to(shelf.store)
    assert (AMD, "signature", "bad") in shelf.faults()
    assert "the signature is of another manifest" in shelf.detail(AMD, "signature")


def test_a_signatures_payload_is_changed(shelf: Shelf) -> None:
    shelf.sign()
    payload = claim(shelf.image.digest, REFERENCE)
    part = replace(signature_part(payload, shelf.key), data=payload.replace(b"team/tiny", b"team/evil"))
    shelf.forget(shelf.image.digest)
    build_attached(shelf.image, "sig", [part]).attach_to(shelf.store)
    assert (AMD, "signature", "bad") in shelf.faults()


def test_a_signatures_blob_is_damaged(shelf: Shelf) -> None:
    tag = cosign_tag(shelf.sign().image.digest, "sig")
    manifest = RawManifest.parse(shelf.store.manifest(tag).raw)
    shelf.spoil(manifest.layers[0].digest)
    assert shelf.faults() == [(AMD, "signature", "bad")]


@pytest.mark.parametrize("tag", [True, False])
def test_one_place_is_enough(shelf: Shelf, *, tag: bool) -> None:
    shelf.sign().forget(shelf.release.index.descriptor.digest, kind="sig", tag=tag)
    assert not shelf.faults()
    assert shelf.detail("index", "signature") == f"only as a {'referrer' if tag else 'tag'}"


def test_the_list_of_referrers_is_damaged(shelf: Shelf) -> None:
    listed = shelf.sign().store.head(f"sha256-{shelf.image.digest.hex}")
    assert listed
    shelf.spoil(listed.digest)
    assert shelf.faults() == [(AMD, what, "bad") for what in ("signature", "sbom", "provenance")]


def test_the_papers_of_another_image(shelf: Shelf) -> None:
    shelf.sign()
    made = shelf.material
    other = replace(made, descriptor=shelf.release.images[1])
    shelf.attest(bill(other), provenance(other, "urn:x"))
    assert shelf.faults() == [(AMD, "sbom", "bad"), (AMD, "provenance", "bad")]
    assert "it is about another image" in shelf.detail(AMD, "sbom")


def test_a_bill_inside_a_statement_about_the_image_that_is_of_another(shelf: Shelf) -> None:
    shelf.sign()
    made = shelf.material
    other = bill(replace(made, descriptor=shelf.release.images[1]))
    shelf.attest(replace(other, subject=shelf.image.digest), provenance(made, "urn:x"))
    assert shelf.faults() == [(AMD, "sbom", "bad")]


def test_a_provenance_with_other_inputs(shelf: Shelf) -> None:
    shelf.sign()
    made = shelf.material
    shelf.attest(bill(made), provenance(replace(made, inputs=replace(made.inputs, epoch=7)), "urn:x"))
    assert shelf.faults() == [(AMD, "provenance", "bad")]
    assert "its inputs have the cell key" in shelf.detail(AMD, "provenance")


def test_one_paper_is_missing(shelf: Shelf) -> None:
    shelf.sign()
    shelf.attest(bill(shelf.material))
    assert shelf.faults() == [(AMD, "provenance", "missing")]


def test_an_attestation_is_changed_after_it_was_signed(shelf: Shelf) -> None:
    made = shelf.sign().material
    statement = provenance(made, "urn:x")
    envelope = json.loads(sign_statement(statement.encode(), shelf.key))
    lie = replace(statement, predicate={**statement.predicate, "more": "x"})
    envelope["payload"] = base64.b64encode(lie.encode()).decode()
    shelf.attest(bill(made))
    parts = [
        attestation_part(sign_statement(bill(made).encode(), shelf.key), bill(made).predicate_type),
        attestation_part(encode(envelope), lie.predicate_type),
    ]
    shelf.forget(shelf.image.digest)
    build_attached(shelf.image, "att", parts).attach_to(shelf.store)
    assert (AMD, "provenance", "bad") in shelf.faults()


@pytest.mark.parametrize("what", ["sbom", "provenance"])
def test_an_unsigned_paper_of_another_image(what: str, shelf: Shelf) -> None:
    shelf.plain()
    other = replace(shelf.material, descriptor=shelf.release.images[1])
    lie = bill(other) if what == "sbom" else provenance(other, "urn:x")
    plain_artifact(shelf.image, lie).attach_to(shelf.store)
    assert shelf.faults(unsigned=True) == [(AMD, what, "bad")]


def test_no_such_release(shelf: Shelf) -> None:
    with pytest.raises(ImageError, match="no tag 'nope'"):
        verify_release(shelf.store, "nope", {}, None)


def test_one_image_is_no_release(shelf: Shelf) -> None:
    with pytest.raises(ImageError, match="is one image, expected an index of several"):
        verify_release(shelf.store, shelf.image.digest, {}, None)


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
