"""Made-up releases with everything about them: records, and made-up SBOMs, seals and cosign's tags."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tinyimage import make_image

from minios_steps.core.digest import Digest
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.artifact import Part, build_artifact
from minios_steps.core.oci.index import Index, build_index
from minios_steps.core.oci.model import Descriptor, encode
from minios_steps.core.records import CellOutcome, ReleaseRecord, Trigger, attach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from minios_steps.core.entry import Entry
    from minios_steps.core.oci.image import Image
    from minios_steps.core.oci.store import ImageStore

PLATFORMS = ("linux/amd64", "linux/arm64/v8")
SBOM, SEAL = "application/x.sbom", "application/x.seal"
_SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"
_serial = itertools.count(1)


def put_release(
    store: ImageStore,
    folder: Path,
    *,
    version: str = "1.38.0",
    tags: Sequence[str] = ("1.38.0", "latest"),
    platforms: Sequence[str] = PLATFORMS,
    previous: dict[str, str] | None = None,
    note: str = "",
    entries: Sequence[Entry] = (),
    recorded: bool = True,
    owner: str = "somebody",
) -> Index:
    """Release an index of small images; its record is later than those before. `note` makes it another."""
    layers = folder / "layers"
    layers.mkdir(exist_ok=True)
    images = [make_image(layers, platform=platform, entries=entries) for platform in platforms]
    for image in images:
        put_image(store, image)
    about = {keys.VERSION: version, keys.VARIANT: "static", **({"org.example.note": note} if note else {})}
    index = build_index([image.descriptor for image in images], about)
    store.put_manifest(index.raw, index.media_type)
    if recorded:
        record = ReleaseRecord(
            action="release",
            version=version,
            variant="static",
            index=str(index.descriptor.digest),
            tags=tuple(tags),
            previous=previous or {},
            time=f"2026-01-02T03:04:05.{next(_serial):03}+00:00",
            trigger=Trigger(owner=owner, reason="because"),
            source_sha256="b" * 64,
            versions={"minios": "1"},
            cells=(CellOutcome("x86_64", "published"), CellOutcome("sw64", "no-worker", "nobody")),
            left_out={"sw64": "no-worker"},
        )
        attach(store, record, index.descriptor)
    store.set_tags(tags, index.raw, index.media_type)
    return index


def put_image(store: ImageStore, image: Image) -> None:
    store.put_blob(image.layer.path, image.layer.digest)
    store.put_blob(image.config, Digest.of(image.config))
    store.put_manifest(image.manifest, media.MANIFEST)


def seal(store: ImageStore, index: Index) -> list[Digest]:
    """An SBOM of each image, a seal of each SBOM and of the index, and a cosign tag; their digests."""
    made: list[Digest] = []

    def about(subject: Descriptor, kind: str) -> Descriptor:
        artifact = build_artifact(subject, kind, [Part("text/plain", f"{kind} {subject.digest}".encode())])
        artifact.attach_to(store)
        made.append(Digest.of(artifact.manifest))
        return Descriptor(media.MANIFEST, made[-1], len(artifact.manifest))

    for entry in index.entries:
        about(about(entry, SBOM), SEAL)
    about(index.descriptor, SEAL)
    made.append(sign(store, index.descriptor.digest, "one"))
    return made


def sign(store: ImageStore, digest: Digest, *texts: str) -> Digest:
    """What cosign keeps beside a manifest, under a tag: a layer for each made-up signature."""
    config = encode({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": []}})
    parts = [Part(media.CONFIG, config), *(Part(_SIGNATURE, text.encode()) for text in texts)]
    for part in parts:
        store.put_blob(part.data, Digest.of(part.data))
    head, *layers = [part.descriptor.as_json() for part in parts]
    raw = encode({"schemaVersion": 2, "mediaType": media.MANIFEST, "config": head, "layers": layers})
    store.put_manifest(raw, media.MANIFEST)
    store.set_tags([side_tag(digest)], raw, media.MANIFEST)
    return Digest.of(raw)


def side_tag(digest: Digest) -> str:
    return f"sha256-{digest.hex}.sig"
