from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cosignrules import SIGNATURE
from registrybed import serving
from supplybed import REFERENCE, TAG, Release, make_key, make_release

from minios_steps.core.errors import ImageError
from minios_steps.core.oci.artifact import Part, build_artifact
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.media import MANIFEST
from minios_steps.core.registry.store import RegistryStore
from minios_steps.core.supply.attachments import Subject, attachments
from minios_steps.core.supply.cosign import SIMPLE_SIGNING, Signature, build_attached, cosign_tag, read_parts
from minios_steps.core.supply.dsse import Envelope
from minios_steps.core.supply.material import Invocation
from minios_steps.core.supply.papers import Papers
from minios_steps.core.supply.statement import Statement
from minios_steps.core.supply.verify import verify_release

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from minios_steps.core.digest import Digest
    from minios_steps.core.supply.keys import SigningKey

RUN = Invocation("matrix/1", "2026-01-02T03:04:05Z")
LATER = Invocation("matrix/2", "2026-02-03T04:05:06Z")


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return make_release(tmp_path)


@pytest.fixture
def store(release: Release, tmp_path: Path) -> LayoutStore:
    made = LayoutStore(Layout(tmp_path / "out"))
    release.put_into(made)
    return made


@pytest.fixture
def key() -> SigningKey:
    return make_key()


def snapshot(store: LayoutStore) -> Mapping[str, bytes]:
    root = store.layout.root
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def signatures(store: LayoutStore, subject: Digest) -> list[Signature]:
    parts = read_parts(store, cosign_tag(subject, "sig"))
    return [one for part in parts if (one := Signature.read(part))]


def statements(store: LayoutStore, subject: Digest) -> list[Statement]:
    parts = read_parts(store, cosign_tag(subject, "att"))
    return [Statement.parse(Envelope.parse(part.data).payload) for part in parts]


@pytest.mark.parametrize("signed", [True, False])
def test_again_moves_no_byte(release: Release, store: LayoutStore, key: SigningKey, *, signed: bool) -> None:
    chosen = key if signed else None
    assert all(release.attach(store, chosen, RUN))
    before = snapshot(store)
    assert not any(release.attach(store, chosen, RUN))
    # Another run of the same inputs has nothing to add but itself.
    assert not any(release.attach(store, chosen, LATER))
    assert snapshot(store) == before


def test_what_was_cut_short_is_finished(release: Release, store: LayoutStore, key: SigningKey) -> None:
    first, *rest = release.attachments(store, key)
    first.attach_to(store)
    assert [made.attach_to(store) for made in release.attachments(store, key)] == [
        False,
        *(True for _ in rest),
    ]


def test_a_copy_without_cosigns_tags_gets_them_again(
    release: Release, store: LayoutStore, key: SigningKey, tmp_path: Path
) -> None:
    made = release.attachments(store, key)
    copy = LayoutStore(Layout(tmp_path / "copy"))
    release.put_into(copy)
    for one in made:
        replace(one, tag="").attach_to(copy)
    assert [one.manifest for one in release.attachments(copy, key)] == [one.manifest for one in made]
    assert all(release.attach(copy, key))
    assert len(signatures(copy, release.index.descriptor.digest)) == 1


def test_a_second_key_signs_beside_the_first(release: Release, store: LayoutStore, key: SigningKey) -> None:
    other = make_key()
    release.attach(store, key)
    release.attach(store, other)
    for subject in (release.index.descriptor, *release.images):
        found = signatures(store, subject.digest)
        assert [one.signed_by(key.public) for one in found] == [True, False]
        assert [one.signed_by(other.public) for one in found] == [False, True]
    assert len(statements(store, release.images[0].digest)) == 4
    assert not any(release.attach(store, key))


def test_a_signature_that_cosign_made_is_kept(release: Release, store: LayoutStore, key: SigningKey) -> None:
    """cosign's manifest names no subject and has more in its layers; its layer stays as it is."""
    subject = release.images[0]
    (ours,) = Papers(store, key, REFERENCE).signature(subject)
    ours.attach_to(store)
    (part,) = read_parts(store, ours.tag)
    theirs = build_attached(subject, "sig", [replace(part, annotations={**part.annotations, "more": "x"})])
    for blob in theirs.blobs:
        store.put_blob(blob, type(subject.digest).of(blob))
    plain = theirs.manifest.replace(b',"subject":', b',"x-subject":')
    store.put_manifest(plain, MANIFEST)
    store.set_tags([ours.tag], plain, MANIFEST)
    (again,) = Papers(store, key, REFERENCE).signature(subject)
    again.attach_to(store)
    (kept,) = read_parts(store, ours.tag)
    assert kept.annotations == {SIGNATURE: part.annotations[SIGNATURE], "more": "x"}


@pytest.mark.parametrize("text", ["", "AAAA", "not base64"])
def test_a_signature_that_does_not_hold_is_not_taken_for_ours(
    text: str, release: Release, store: LayoutStore, key: SigningKey
) -> None:
    subject = release.images[0]
    (ours,) = Papers(store, key, REFERENCE).signature(subject)
    payload = ours.blobs[1]
    build_attached(subject, "sig", [Part(SIMPLE_SIGNING, payload, {SIGNATURE: text})]).attach_to(store)
    (again,) = Papers(store, key, REFERENCE).signature(subject)
    again.attach_to(store)
    assert sum(one.signed_by(key.public) for one in signatures(store, subject.digest)) == 1


def test_other_inputs_take_the_place_of_the_older_statement(
    release: Release, store: LayoutStore, key: SigningKey
) -> None:
    release.attach(store, key)
    image = release.images[0]
    before = statements(store, image.digest)
    changed = replace(before[1], predicate={**before[1].predicate, "more": "said"})
    (made,) = Papers(store, key, REFERENCE).statements(image, [changed])
    made.attach_to(store)
    assert statements(store, image.digest) == [before[0], changed]


def test_without_a_key_plain_papers(release: Release, store: LayoutStore) -> None:
    release.attach(store, None)
    image = release.images[0].digest
    kinds = [one.artifact_type for one in store.referrers(image)]
    assert kinds == ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]
    assert store.referrers(release.index.descriptor.digest) == ()
    assert store.head(cosign_tag(image, "sig")) is None
    (bill,) = read_parts(store, store.referrers(image)[0].descriptor.digest)
    assert bill.data.startswith(b'{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json"')


def test_an_image_of_an_earlier_release_is_signed_and_keeps_its_papers(
    release: Release, store: LayoutStore, key: SigningKey
) -> None:
    release.attach(store, None)
    image = release.images[0]
    made = attachments(
        Papers(store, key, REFERENCE),
        release.project,
        release.index.descriptor,
        [Subject(image, None, store)],
    )
    assert [one.tag for one in made] == [
        cosign_tag(one.digest, "sig") for one in (image, release.index.descriptor)
    ]


def test_a_record_that_is_damaged(release: Release, store: LayoutStore) -> None:
    image = release.images[0]
    with pytest.raises(ImageError, match=f"image {image.digest}: a cell's recorded inputs are damaged"):
        attachments(
            Papers(store, None, REFERENCE),
            release.project,
            release.index.descriptor,
            [Subject(image, {"version": "1.38.0"}, store)],
        )


def test_too_many_signatures_are_refused(release: Release, store: LayoutStore, key: SigningKey) -> None:
    subject = release.images[0]
    parts = [Part(SIMPLE_SIGNING, b"%d" % n, {SIGNATURE: ""}) for n in range(101)]
    build_attached(subject, "sig", parts).attach_to(store)
    with pytest.raises(ImageError, match="101 layers, 100 are allowed"):
        Papers(store, key, REFERENCE).signature(subject)


def test_a_huge_layer_is_not_read(release: Release, store: LayoutStore) -> None:
    made = build_artifact(release.images[0], "x/y", [Part("x/y", bytes(5 << 20))], tag="x")
    made.attach_to(store)
    with pytest.raises(ImageError, match="a layer of 5,242,880 bytes"):
        read_parts(store, "x")


@pytest.mark.parametrize("native", [True, False])
def test_in_a_registry_with_or_without_a_list_of_its_own(
    release: Release, key: SigningKey, *, native: bool
) -> None:
    with serving() as bed, bed.client() as client:
        bed.keeps_referrers = native
        store = RegistryStore(client, "team/tiny")
        release.put_into(store)
        assert all(release.attach(store, key))
        sent = bed.methods("PUT", "POST", "PATCH")
        assert not any(release.attach(store, key))
        assert bed.methods("PUT", "POST", "PATCH") == sent
        report = verify_release(store, TAG, release.project.arches, key.public)
        assert report.good, report.faults
        listed = f"sha256-{release.images[0].digest.hex}"
        assert (listed in bed.repo("team/tiny").manifests) is not native
