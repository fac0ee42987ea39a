from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cosignrules import openssl_accepts, verify, verify_attestation
from supplybed import REFERENCE, Release, make_key, make_release

from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.supply.cosign import claim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.supply.keys import SigningKey

SBOM = "https://cyclonedx.org/bom"
SLSA = "https://slsa.dev/provenance/v1"


@pytest.fixture
def release(tmp_path: Path, need: Callable[..., None]) -> Release:
    need("openssl")
    return make_release(tmp_path)


@pytest.fixture
def store(release: Release, tmp_path: Path) -> LayoutStore:
    made = LayoutStore(Layout(tmp_path / "out"))
    release.put_into(made)
    return made


@pytest.fixture
def key() -> SigningKey:
    return make_key()


def test_index_and_images_are_signed_as_cosign_wants_it(
    release: Release, store: LayoutStore, key: SigningKey, tmp_path: Path
) -> None:
    release.attach(store, key)
    for subject in (release.index.descriptor, *release.images):
        assert verify(store, subject.digest, key.public.pem, tmp_path) == 1
        assert verify(store, subject.digest, make_key().public.pem, tmp_path) == 0


def test_the_papers_are_attested_as_cosign_wants_it(
    release: Release, store: LayoutStore, key: SigningKey, tmp_path: Path
) -> None:
    release.attach(store, key)
    for image in release.images:
        (bill,) = verify_attestation(store, image.digest, key.public.pem, SBOM, tmp_path)
        assert bill["bomFormat"] == "CycloneDX"
        (provenance,) = verify_attestation(store, image.digest, key.public.pem, SLSA, tmp_path)
        assert provenance["buildDefinition"]["externalParameters"]["version"] == "1.38.0"
        assert not verify_attestation(store, image.digest, make_key().public.pem, SLSA, tmp_path)


def test_they_are_referrers_too(release: Release, store: LayoutStore, key: SigningKey) -> None:
    release.attach(store, key)
    kinds = {
        one.artifact_type: json.loads(store.manifest(one.descriptor.digest).raw)
        for one in store.referrers(release.images[0].digest)
    }
    assert sorted(kinds) == [f"application/vnd.dev.cosign.artifact.{kind}.v1+json" for kind in ("att", "sig")]
    for told in kinds.values():
        assert told["subject"] == {
            key: value for key, value in release.images[0].as_json().items() if key != "platform"
        }
    assert store.tags() == ("1.38.0",)


def test_the_payload_is_that_of_cosign(release: Release) -> None:
    digest = release.images[0].digest
    assert claim(digest, REFERENCE) == (
        b'{"critical":{"identity":{"docker-reference":"registry.example/team/tiny"},'
        b'"image":{"docker-manifest-digest":"%b"},'
        b'"type":"cosign container image signature"},"optional":null}' % str(digest).encode()
    )


def test_openssl_says_no_to_other_bytes(key: SigningKey, tmp_path: Path, need: Callable[..., None]) -> None:
    need("openssl")
    signature = key.sign(b"data")
    assert openssl_accepts(tmp_path, key.public.pem, signature, b"data")
    assert not openssl_accepts(tmp_path, key.public.pem, signature, b"date")
