"""`verify_release` on what refers to a release: signatures, bills of materials, provenance."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from shelfbed import AMD, Shelf
from supplybed import REFERENCE

from minios_steps.core.oci.model import RawManifest, encode
from minios_steps.core.supply.cosign import (
    attestation_part,
    build_attached,
    claim,
    cosign_tag,
    signature_part,
)
from minios_steps.core.supply.dsse import sign_statement
from minios_steps.core.supply.papers import plain_artifact
from minios_steps.core.supply.provenance import provenance
from minios_steps.core.supply.sbom import bill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


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
