"""From a built image to its cell's candidate, unless another build from the same inputs gave another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.docker.tree import differences, read_tree
from minios_steps.core.errors import NonReproducibleError
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.oci.verify import LAYER_LIMIT

if TYPE_CHECKING:
    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.tarball import LayerFile


@dataclass(frozen=True)
class BuiltImage:
    """The exact bytes of an image that was just built."""

    layer: LayerFile
    config: bytes
    manifest: bytes


def keep_built(store: CandidateStore, record: CellRecord, image: BuiltImage, *, by_files: bool) -> None:
    """Store an image as its cell's candidate.

    A candidate that is damaged cannot be compared, and is replaced.

    Args:
        store: the candidate store.
        record: of the image.
        image: its bytes.
        by_files: images with the same files count as the same, whatever their digests: those of a
            Docker engine, which writes the time of the build into them.

    Raises:
        NonReproducibleError: there is a candidate with the same key and other bytes. It stays what
            it was; the new image is kept beside it.
        ImageError: it cannot be stored.
    """
    before = store.find(record.key)
    if before is None or _is_same(store, before, record, image, by_files=by_files):
        store.put(record, layer=image.layer, config=image.config, manifest=image.manifest)
        return
    store.put_other(record, {image.layer.digest: image.layer.path}, (image.config, image.manifest))
    old, new = before.descriptor.digest, record.descriptor.digest
    raise NonReproducibleError(
        f"non-reproducible: key {record.key.short} gave {old.short} before, and {new.short} now",
        hint=f"see what differs: minios diff {old.short} {new.short}",
        details=f"key {record.key}\nbefore {old}, built {before.built}\nnow {new}",
    )


def _is_same(
    store: CandidateStore, before: CellRecord, record: CellRecord, image: BuiltImage, *, by_files: bool
) -> bool:
    if before.descriptor.digest == record.descriptor.digest:
        return True
    if not by_files:
        return False
    manifest = RawManifest.parse(store.layout.read(before.descriptor.digest, MANIFEST_LIMIT), "candidate")
    trees = [read_tree(store.layout.read(layer.digest, LAYER_LIMIT)) for layer in manifest.layers]
    return len(trees) == 1 and not differences(trees[0], read_tree(image.layer.path.read_bytes()))
