"""What `ImageStore` promises, of each store that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from registrybed import serving
from tinyimage import make_image

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.artifact import Part, build_artifact
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.oci.tag import OWN, is_hidden
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minios_steps.core.oci.image import Image
    from minios_steps.core.oci.store import ImageStore

LIMIT = 1 << 20
NOTE = "application/x.note"
ABSENT = Digest.of(b"absent")


@pytest.fixture(params=["layout", "registry"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageStore]:
    if request.param == "layout":
        yield LayoutStore(Layout(tmp_path / "out"))
        return
    with serving() as bed, bed.client() as client:
        yield RegistryStore(client, "team/app")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "layers").mkdir()
    return make_image(tmp_path / "layers")


def put(store: ImageStore, image: Image) -> None:
    assert store.put_blob(image.layer.path, image.layer.digest)
    assert store.put_blob(image.config, Digest.of(image.config))
    assert store.put_manifest(image.manifest, media.MANIFEST)


def note(subject: Descriptor, text: str) -> bytes:
    return build_artifact(subject, NOTE, [Part("text/plain", b"note")], annotations={"text": text}).manifest


def test_empty(store: ImageStore) -> None:
    assert store.tags() == ()
    assert store.head("latest") is None
    assert store.head(ABSENT) is None
    assert not store.has_blob(ABSENT)
    assert store.referrers(ABSENT) == ()
    for get in (store.manifest, lambda ref: store.read(ref, LIMIT)):
        with pytest.raises(ImageError):
            get(ABSENT)
    with pytest.raises(ImageError):
        store.manifest("latest")


def test_an_image_and_its_tags(store: ImageStore, image: Image) -> None:
    put(store, image)
    wanted = Descriptor(media.MANIFEST, image.descriptor.digest, image.descriptor.size)
    assert store.tags() == ()
    assert store.head(wanted.digest) == wanted
    assert store.set_tags(["1.38", "latest"], image.manifest, media.MANIFEST)
    assert store.tags() == ("1.38", "latest")
    assert store.head("latest") == wanted
    for ref in ("1.38", wanted.digest):
        found = store.manifest(ref)
        assert (found.raw, found.descriptor) == (image.manifest, wanted)
    assert store.read(wanted.digest, LIMIT) == image.manifest
    assert store.has_blob(image.layer.digest)
    assert b"".join(store.open_blob(image.layer.digest, LIMIT)) == image.layer.path.read_bytes()


def test_what_is_there_is_not_written_again(store: ImageStore, image: Image) -> None:
    put(store, image)
    store.set_tags(["latest"], image.manifest, media.MANIFEST)
    assert not store.put_blob(image.layer.path, image.layer.digest)
    assert not store.put_blob(image.config, Digest.of(image.config))
    assert not store.put_manifest(image.manifest, media.MANIFEST)
    assert not store.set_tags(["latest"], image.manifest, media.MANIFEST)


def test_too_large_or_other_bytes(store: ImageStore, image: Image) -> None:
    put(store, image)
    with pytest.raises(ImageError):
        store.read(image.layer.digest, 10)
    with pytest.raises(ImageError):
        list(store.open_blob(image.layer.digest, 10))
    with pytest.raises(ImageError):
        store.put_blob(b"other", ABSENT)
    assert not store.has_blob(ABSENT)


def test_referrers(store: ImageStore, image: Image) -> None:
    put(store, image)
    store.put_blob(b"note", Digest.of(b"note"))
    store.put_blob(b"{}", Digest.of(b"{}"))
    one, two = note(image.descriptor, "one"), note(image.descriptor, "two")
    assert store.attach(one)
    assert store.attach(two)
    assert not store.attach(one)
    found = store.referrers(image.descriptor.digest)
    assert [(item.artifact_type, item.descriptor.digest) for item in found] == [
        (NOTE, Digest.of(one)),
        (NOTE, Digest.of(two)),
    ]
    assert found[1].descriptor.annotations == {"text": "two"}
    assert store.manifest(Digest.of(two)).raw == two
    assert store.tags() == ()
    with pytest.raises(ImageError, match="names no subject"):
        store.attach(image.manifest)


def test_an_artifact_puts_its_own_blobs(store: ImageStore, image: Image) -> None:
    put(store, image)
    artifact = build_artifact(image.descriptor, NOTE, [Part("text/plain", b"note")])
    assert artifact.attach_to(store)
    assert not artifact.attach_to(store)
    assert store.read(Digest.of(b"note"), LIMIT) == b"note"


def test_hidden_tags() -> None:
    assert all(map(is_hidden, (f"{OWN}claim", f"sha256-{ABSENT.hex}", f"sha256-{ABSENT.hex}.sig")))
    assert not any(map(is_hidden, ("latest", "1.38.0", "sha256-abc", "minios")))


class TestLayout:
    @pytest.fixture
    def layout(self, tmp_path: Path) -> Layout:
        return Layout(tmp_path / "out")

    def test_artifacts_stay_as_long_as_what_they_are_about(self, layout: Layout, image: Image) -> None:
        store = LayoutStore(layout)
        put(store, image)
        first, second = build_index([image.descriptor], {}), build_index([image.descriptor], {"n": "2"})
        store.set_tags(["latest"], first.raw, first.media_type)
        about = build_artifact(first.descriptor, NOTE, [Part("text/plain", b"note")])
        about.attach_to(store)
        seal = Descriptor(media.MANIFEST, Digest.of(about.manifest), len(about.manifest))
        build_artifact(seal, NOTE, [Part("text/plain", b"seal")]).attach_to(store)
        assert layout.collect() == 0
        assert store.read(Digest.of(b"seal"), LIMIT) == b"seal"
        store.set_tags(["latest"], second.raw, second.media_type)
        layout.collect()
        assert store.referrers(first.descriptor.digest) == ()
        assert not any(map(store.has_blob, (Digest.of(b"note"), Digest.of(b"seal"), seal.digest)))
        layout.check(layout.tags()["latest"])

    def test_tags_and_artifacts_in_one_step(self, layout: Layout, image: Image) -> None:
        store = LayoutStore(layout)
        put(store, image)
        artifact = build_artifact(image.descriptor, NOTE, [Part("text/plain", b"note")])
        wanted = {"latest": image.descriptor}
        with pytest.raises(ImageError, match="missing"):
            layout.publish(wanted, artifacts=[artifact.manifest])
        assert layout.tags() == {}
        assert layout.publish(wanted, raw=artifact.blobs, artifacts=[artifact.manifest])
        assert not layout.publish(wanted, raw=artifact.blobs, artifacts=[artifact.manifest])
        assert len(store.referrers(image.descriptor.digest)) == 1

    def test_damaged_blob(self, layout: Layout, image: Image) -> None:
        put(LayoutStore(layout), image)
        layout.blob_path(image.layer.digest).write_bytes(b"other")
        with pytest.raises(ImageError, match="another digest"):
            list(LayoutStore(layout).open_blob(image.layer.digest, LIMIT))

    def test_manifest_of_another_type(self, layout: Layout, image: Image) -> None:
        with pytest.raises(ImageError, match=r"expected application/vnd\.oci\.image\.index"):
            LayoutStore(layout).put_manifest(image.manifest, media.INDEX)
