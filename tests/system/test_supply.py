"""A signed release in a real registry, read by the real cosign and by openssl."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from cosignbed import Cosign, UnavailableError, get_cosign
from cosignrules import openssl_accepts
from cosignrules import verify as verify_by_openssl
from supplybed import TAG, Release, make_key, make_release

from minios_steps.core.registry.client import Registry
from minios_steps.core.registry.endpoint import Endpoint
from minios_steps.core.registry.store import RegistryStore
from minios_steps.core.supply.keys import SigningKey
from minios_steps.core.supply.verify import verify_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registryrig import RealRegistry

CHANGES = ("POST", "PATCH", "PUT", "DELETE")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    try:
        return get_cosign(tmp_path_factory.mktemp("cosign"))
    except UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def cosign(program: str, tmp_path: Path) -> Cosign:
    home = tmp_path / "home"
    home.mkdir()
    return Cosign(program, home)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return make_release(tmp_path)


@pytest.fixture
def store(registry: RealRegistry, release: Release) -> Iterator[RegistryStore]:
    with Registry(Endpoint(registry.host, plain_http=True)) as client:
        made = RegistryStore(client, "team/tiny")
        release.put_into(made)
        yield made


def names(registry: RealRegistry, release: Release) -> list[str]:
    """The index by its tag, and each image by its digest, as people name them."""
    repository = f"{registry.host}/team/tiny"
    return [f"{repository}:{TAG}", *(f"{repository}@{image.digest}" for image in release.images)]


def test_cosign_verifies_what_was_signed(
    cosign: Cosign, release: Release, store: RegistryStore, registry: RealRegistry
) -> None:
    made = cosign.run("generate-key-pair", "--output-key-prefix", "key", password="tiny")
    assert made.returncode == 0, made.stderr
    key = SigningKey.load((cosign.home / "key.key").read_bytes(), b"tiny")
    release.attach(store, key)
    for name in names(registry, release):
        done = cosign.verify(name)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[0]["critical"]["type"] == "cosign container image signature"
        # As a referrer; the first image only, since each is a start of cosign.
    done = cosign.verify(names(registry, release)[1], "--experimental-oci11")
    assert done.returncode == 0, done.stderr
    for kind in ("cyclonedx", "slsaprovenance1"):
        done = cosign.verify(names(registry, release)[1], "--type", kind, verb="verify-attestation")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["payloadType"] == "application/vnd.in-toto+json"


def test_cosign_refuses_what_another_key_signed(
    cosign: Cosign, release: Release, store: RegistryStore, registry: RealRegistry
) -> None:
    release.attach(store, make_key())
    (cosign.home / "key.pub").write_bytes(make_key().public.pem)
    done = cosign.verify(names(registry, release)[0])
    assert done.returncode != 0
    assert "no matching signatures" in done.stderr


def test_cosign_signs_beside_us(
    cosign: Cosign, release: Release, store: RegistryStore, registry: RealRegistry
) -> None:
    """What cosign itself put there stays, and is accepted."""
    made = cosign.run("generate-key-pair", "--output-key-prefix", "key")
    assert made.returncode == 0, made.stderr
    theirs = SigningKey.load((cosign.home / "key.key").read_bytes())
    name = names(registry, release)[1]
    done = cosign.sign(name)
    assert done.returncode == 0, done.stderr
    key = make_key()
    release.attach(store, key)
    assert cosign.verify(name).returncode == 0
    image = next(
        one
        for one in verify_release(store, TAG, release.project.arches, theirs.public).checks
        if (one.of, one.what) == ("linux/amd64", "signature")
    )
    assert image.outcome == "good"
    assert verify_release(store, TAG, release.project.arches, key.public).good


def test_again_moves_no_byte_and_all_is_verified(
    release: Release, store: RegistryStore, registry: RealRegistry, tmp_path: Path
) -> None:
    key = make_key()
    release.attach(store, key)
    before = registry.asked(*CHANGES)
    assert not any(release.attach(store, key))
    assert registry.asked(*CHANGES) == before
    report = verify_release(store, TAG, release.project.arches, key.public)
    assert report.good, report.faults
    assert store.tags() == (TAG,)
    assert verify_by_openssl(store, release.index.descriptor.digest, key.public.pem, tmp_path) == 1


def test_by_hand_with_skopeo_and_openssl(
    release: Release, store: RegistryStore, registry: RealRegistry, tmp_path: Path, need: Callable[..., None]
) -> None:
    """As the release engineer's page shows it."""
    need("skopeo", "openssl")
    key = make_key()
    release.attach(store, key)
    digest = release.index.descriptor.digest
    source = f"docker://{registry.host}/team/tiny:sha256-{digest.hex}.sig"
    words = ["skopeo", "copy", "--src-tls-verify=false", source, f"dir:{tmp_path}/signed"]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    (layer,) = json.loads((tmp_path / "signed/manifest.json").read_bytes())["layers"]
    signature = base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"])
    payload = (tmp_path / "signed" / layer["digest"].removeprefix("sha256:")).read_bytes()
    assert openssl_accepts(tmp_path, key.public.pem, signature, payload)
    assert str(digest).encode() in payload
