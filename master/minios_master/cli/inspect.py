"""`minios inspect`: what an OCI layout or a registry holds: platforms, digests, sizes, annotations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.image import config_platform
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.media import INDEXES
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor, RawManifest, decode

from .output import out_console, print_json, table
from .stores import REF, REF_HELP, Access, CaOption, JsonOption, PlainHttpOption, open_place

if TYPE_CHECKING:
    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.store import ImageStore

    from .stores import Place

_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def inspect(
    ctx: typer.Context,  # noqa: ARG001  # every command has one
    reference: Annotated[str, typer.Argument(metavar=REF, help=REF_HELP)],
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show platforms, digests, sizes, annotations and referrers of a layout, a tag, or a registry's image."""
    with open_place(reference, Access(plain_http, ca)) as place:
        told = {name: describe(place.store, found) for name, found in _named(place).items()}
    if as_json:
        print_json({place.kind: place.name, "tags": told})
    else:
        _show(told)


def _named(place: Place) -> dict[str, Descriptor]:
    """What was named, by its tag or digest: of a layout without either all tags."""
    store = place.store
    if place.kind == "layout" and not place.tag and not place.digest:
        return {tag: store.manifest(tag).descriptor for tag in store.tags()}
    if place.kind == "layout" and place.tag and store.head(place.tag) is None:
        known = ", ".join(store.tags()) or "none"
        raise MiniosError(f"{place.name}: there is no tag {place.tag!r} (there are: {known})")
    return {str(place.ref): store.manifest(place.ref).descriptor}


def describe(store: ImageStore, found: Descriptor) -> dict[str, Any]:
    """What a tag points at, as data: an index with its images, or one image.

    Sizes are bytes; an image's is that of its manifest, config and compressed layers together.

    Raises:
        ImageError: a blob is missing, damaged or malformed.
    """
    about: dict[str, Any] = {"digest": str(found.digest), "media_type": found.media_type}
    if found.media_type not in INDEXES:
        return {**about, "annotations": {}, "referrers": [], "images": [_image(store, found)]}
    index = parse_index(store.read(found.digest, MANIFEST_LIMIT), str(found.digest))
    return {
        **about,
        "annotations": dict(index.annotations),
        "referrers": _referrers(store, found.digest),
        "images": [_image(store, entry) for entry in index.entries],
    }


def _image(store: ImageStore, found: Descriptor) -> dict[str, Any]:
    manifest = RawManifest.parse(store.read(found.digest, MANIFEST_LIMIT), str(found.digest))
    config = manifest.config
    where = found.platform or config_platform(
        decode(store.read(config.digest, MANIFEST_LIMIT), str(config.digest))
    )
    return {
        "platform": str(where),
        "digest": str(found.digest),
        "size": found.size + config.size + sum(layer.size for layer in manifest.layers),
        "config": str(config.digest),
        "layers": [{"digest": str(layer.digest), "size": layer.size} for layer in manifest.layers],
        "annotations": {**manifest.annotations, **found.annotations},
        "referrers": _referrers(store, found.digest),
    }


def _referrers(store: ImageStore, digest: Digest) -> list[dict[str, str]]:
    """What refers to a manifest: SBOMs, signatures, a release's record."""
    return [
        {"type": referrer.artifact_type, "digest": str(referrer.descriptor.digest)}
        for referrer in store.referrers(digest)
    ]


def _show(told: dict[str, dict[str, Any]]) -> None:
    console = out_console()

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    for tag, about in told.items():
        rows = [(i["platform"], i["digest"], f"{i['size'] / 1e6:.2f} MB") for i in about["images"]]
        for line in (f"{tag}: {about['digest']}", *_details(about)):
            say(line)
        console.print(table(("platform", "digest", "compressed"), rows))
        for image in about["images"]:
            for line in _details(image):
                say(f"{image['platform']} {line.strip()}")
        console.print()


def _details(about: dict[str, Any]) -> list[str]:
    notes = [(name, value) for name, value in sorted(about["annotations"].items())]
    notes += [(f"referrer {one['type']}", one["digest"]) for one in about["referrers"]]
    return [f"  {_NOT_TEXT.sub('?', name)}: {_NOT_TEXT.sub('?', value)}" for name, value in notes]
