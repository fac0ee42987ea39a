"""Two images, or two indexes platform by platform: everything in which their bytes differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.diff.files import compare_layers
from minios_steps.core.diff.model import Compared, Difference
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.image import config_platform
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest, decode
from minios_steps.core.oci.verify import CONFIG_LIMIT, LAYER_LIMIT, fetch, unpack_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.platform import Platform

_INDEX = "index"


@dataclass(frozen=True)
class Side:
    """An image or index, and the store it is in."""

    store: ImageStore
    descriptor: Descriptor

    @property
    def digest(self) -> str:
        """`sha256:HEX`."""
        return str(self.descriptor.digest)

    @property
    def is_index(self) -> bool:
        """Whether it is an index or Docker's manifest list."""
        return self.descriptor.media_type in media.INDEXES

    def image(self, platform: Platform) -> Side:
        """The image of an index for a platform.

        Raises:
            ImageError: it has none.
        """
        for found, side in self.images().items():
            if found.normalised == platform.normalised:
                return side
        raise ImageError(f"{self.store.name}@{self.digest}: there is no image for {platform} in it")

    def images(self) -> dict[Platform, Side]:
        """The images of an index by their platforms; of an image, itself.

        Raises:
            ImageError: it, or its config, is missing or malformed, or an entry has no platform.
        """
        if not self.is_index:
            config = _Image.read(self).config
            return {config_platform(config): self}
        found = {}
        for entry in parse_index(self.raw(), self.digest).entries:
            if entry.platform is None:
                raise ImageError(f"{self.digest}: an entry without a platform: {entry.digest}")
            found[entry.platform] = Side(self.store, entry)
        return found

    def raw(self) -> bytes:
        """The manifest's or index's bytes; raises `ImageError` when they are missing or damaged."""
        return fetch(self.store, self.descriptor, MANIFEST_LIMIT, "manifest")


def compare(before: Side, after: Side) -> list[Compared]:
    """Compare two images, or two indexes; an image with an index: with its image of that platform.

    Returns:
        One for each platform, sorted, and for two indexes one of themselves, which comes first.

    Raises:
        ImageError: something is missing, damaged or malformed, or the two have nothing to compare.
        UnsafeArchiveError: a layer has what an archive must not have.
    """
    if before.is_index != after.is_index:
        single, index = (after, before) if before.is_index else (before, after)
        [platform] = single.images()
        found = index.image(platform)
        before, after = (found, single) if before.is_index else (single, found)
    images = [side.images() for side in (before, after)]
    sides = [{platform.normalised: side for platform, side in found.items()} for found in images]
    # One side may leave out what is the default: people get to see the whole name.
    names: dict[Platform, Platform] = {}
    for platform in (*images[0], *images[1]):
        names[platform.normalised] = max(platform, names.get(platform.normalised, platform))
    told = [_indexes(before, after)] if before.is_index else []
    if not before.is_index and sides[0].keys() != sides[1].keys():
        # Two images are compared also when they are for different CPUs.
        return [compare_images(before, after, " and ".join(str(*found) for found in images))]
    for platform in sorted(sides[0].keys() | sides[1].keys()):
        one, other = (side.get(platform) for side in sides)
        name = str(names[platform])
        if one and other:
            told.append(compare_images(one, other, name))
        else:
            left, right = (side.digest if side else "" for side in (one, other))
            gone = Difference("image", "only on one side", left or "-", right or "-")
            told.append(Compared(name, left, right, (gone,)))
    return told


def compare_images(before: Side, after: Side, of: str) -> Compared:
    """Compare two images; `of` is what they are of, for people.

    Raises:
        ImageError: see `compare`.
        UnsafeArchiveError: see `compare`.
    """
    one, other = _Image.read(before), _Image.read(after)
    if before.digest == after.digest:
        return Compared(of, before.digest, after.digest)
    found = [
        *_mappings("manifest", _plain(one.manifest), _plain(other.manifest)),
        *_mappings("config", one.facts, other.facts),
        *_layers(before.store, one.manifest, after.store, other.manifest),
    ]
    return Compared(of, before.digest, after.digest, tuple(found) or (_BYTES,))


_BYTES = Difference("manifest", "form", "the same said", "in other bytes")


@dataclass(frozen=True)
class _Image:
    manifest: RawManifest
    config: Mapping[str, Any]

    @classmethod
    def read(cls, side: Side) -> _Image:
        manifest = RawManifest.parse(side.raw(), side.digest)
        raw = fetch(side.store, manifest.config, CONFIG_LIMIT, "config")
        return cls(manifest, decode(raw, str(manifest.config.digest)))

    @property
    def facts(self) -> dict[str, str]:
        """The config's parts by name, but for the layers' digests, which the layers tell more of."""
        return {
            name.replace("config.Labels.", "label "): value
            for name, value in _flat(self.config)
            if name != "rootfs.diff_ids"
        }


def _indexes(before: Side, after: Side) -> Compared:
    """What differs between two indexes themselves, not their images."""
    one, other = (parse_index(side.raw(), side.digest) for side in (before, after))
    found = [
        *_mappings(_INDEX, {"media type": one.media_type}, {"media type": other.media_type}),
        *_mappings(_INDEX, _notes(one.annotations), _notes(other.annotations)),
    ]
    entries = [{str(entry.platform): entry for entry in index.entries} for index in (one, other)]
    for platform in sorted(entries[0].keys() & entries[1].keys()):
        notes = (_notes(side[platform].annotations) for side in entries)
        found += _mappings(f"{_INDEX}, {platform}", *notes)
    if before.digest != after.digest and not found:
        found = [Difference(_INDEX, "images", before.descriptor.digest.short, after.descriptor.digest.short)]
    return Compared(_INDEX, before.digest, after.digest, tuple(found))


def _layers(
    before: ImageStore, one: RawManifest, after: ImageStore, other: RawManifest
) -> Iterator[Difference]:
    if len(one.layers) != len(other.layers):
        yield Difference("manifest", "layers", str(len(one.layers)), str(len(other.layers)))
    for left, right in zip(one.layers, other.layers, strict=False):
        if left.digest == right.digest:
            continue
        packed = fetch(before, left, LAYER_LIMIT, "layer"), fetch(after, right, LAYER_LIMIT, "layer")
        tars = [Digest.of(unpack_layer(data)) for data in packed]
        if tars[0] == tars[1]:
            yield Difference("layer", "packed by another zlib", left.digest.short, right.digest.short)
            continue
        found = compare_layers(*packed)
        yield from found or [Difference("layer", "order or form of the tar", tars[0].short, tars[1].short)]


def _plain(manifest: RawManifest) -> dict[str, str]:
    return {"media type": manifest.media_type, **_notes(manifest.annotations)}


def _notes(annotations: Mapping[str, str]) -> dict[str, str]:
    return {f"annotation {name}": value for name, value in annotations.items()}


def _mappings(where: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference(where, name, before.get(name, "-"), after.get(name, "-"))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner if isinstance(inner, str) else json.dumps(inner)
