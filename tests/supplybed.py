"""A small signed release for tests, in any store: real images, real papers, a key made on the spot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from releasebed import cell, make_project, put_candidate

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.index import Index, build_index
from minios_steps.core.supply.attachments import Subject, attachments
from minios_steps.core.supply.keys import SigningKey
from minios_steps.core.supply.papers import Papers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.artifact import Artifact
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.supply.material import Invocation

REFERENCE = "registry.example/team/tiny"
TAG = "1.38.0"


def make_key() -> SigningKey:
    return SigningKey(generate_private_key(SECP256R1()))


@dataclass(frozen=True)
class Release:
    """What a release is made of: two images, and an index that names their cell keys."""

    project: Project
    candidates: CandidateStore
    records: tuple[CellRecord, ...]
    index: Index

    @property
    def images(self) -> tuple[Descriptor, ...]:
        return tuple(record.descriptor for record in self.records)

    def put_into(self, store: ImageStore) -> None:
        """The images, the index, and the tag."""
        for image in self.images:
            _, config, layer = self.candidates.blobs(image)
            for digest in (config, layer):
                store.put_blob(self.candidates.layout.blob_path(digest), digest)
            store.put_manifest(self.candidates.layout.read(image.digest), image.media_type)
        store.put_manifest(self.index.raw, self.index.media_type)
        store.set_tags([TAG], self.index.raw, self.index.media_type)

    def attachments(
        self, store: ImageStore, key: SigningKey | None, invocation: Invocation | None = None
    ) -> Sequence[Artifact]:
        return attachments(
            Papers(store, key, REFERENCE),
            self.project,
            self.index.descriptor,
            [Subject(record.descriptor, record.inputs, self.candidates.layout) for record in self.records],
            invocation,
        )

    def attach(
        self, store: ImageStore, key: SigningKey | None, invocation: Invocation | None = None
    ) -> list[bool]:
        """Attach all; what had to be written."""
        return [made.attach_to(store) for made in self.attachments(store, key, invocation)]


def make_release(folder: Path, arches: Sequence[str] = ("x86_64", "aarch64")) -> Release:
    project = make_project(folder / "config")
    candidates = CandidateStore(folder / "candidates")
    records = tuple(put_candidate(candidates, project, cell(arch)) for arch in arches)
    entries = [replace(record.descriptor, annotations={keys.CELL_KEY: str(record.key)}) for record in records]
    index = build_index(entries, {keys.VERSION: TAG, keys.VARIANT: "static"})
    return Release(project, candidates, records, index)
