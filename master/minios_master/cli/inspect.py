"""`minios inspect`: what an OCI image layout holds: platforms, digests, sizes, annotations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.media import INDEXES
from minios_steps.core.oci.model import RawManifest, decode
from minios_steps.core.platform import Platform

from .output import out_console, print_json, table

if TYPE_CHECKING:
    from minios_steps.core.oci.model import Descriptor

_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def inspect(
    ctx: typer.Context,  # noqa: ARG001  # every command has one
    reference: Annotated[
        str, typer.Argument(metavar="LAYOUT[:TAG]", help="An OCI layout: DIR[:TAG] or oci:DIR[:TAG].")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the platforms, digests, sizes and annotations of a layout, or of one of its tags."""
    folder, tag = split_reference(reference)
    layout = Layout(folder)
    if not layout.exists:
        raise MiniosError(f"{folder}: there is no OCI image layout", hint="give DIR[:TAG] or oci:DIR[:TAG]")
    tags = layout.tags()
    if tag and tag not in tags:
        raise MiniosError(f"{folder}: there is no tag {tag!r} (there are: {', '.join(tags) or 'none'})")
    told = {name: describe(layout, found) for name, found in tags.items() if tag in ("", name)}
    if as_json:
        print_json({"layout": str(folder), "tags": told})
    else:
        _show(told)


def split_reference(text: str) -> tuple[Path, str]:
    """A layout's folder and a tag, empty for all, from `[oci:]DIR[:TAG]`."""
    text = text.removeprefix("oci:")
    if Path(text).is_dir():
        return Path(text), ""
    folder, colon, tag = text.rpartition(":")
    return (Path(folder), tag) if colon and folder else (Path(text), "")


def describe(layout: Layout, found: Descriptor) -> dict[str, Any]:
    """What a tag points at, as data: an index with its images, or one image.

    Sizes are bytes; an image's is that of its manifest, config and compressed layers together.

    Raises:
        ImageError: a blob is missing, damaged or malformed.
    """
    about: dict[str, Any] = {"digest": str(found.digest), "media_type": found.media_type}
    if found.media_type not in INDEXES:
        return {**about, "annotations": {}, "images": [_image(layout, found)]}
    index = parse_index(layout.read(found.digest), str(found.digest))
    images = [_image(layout, entry) for entry in index.entries]
    return {**about, "annotations": dict(index.annotations), "images": images}


def _image(layout: Layout, found: Descriptor) -> dict[str, Any]:
    manifest = RawManifest.parse(layout.read(found.digest), str(found.digest))
    config = manifest.config
    where = found.platform or _platform(decode(layout.read(config.digest), str(config.digest)))
    return {
        "platform": str(where),
        "digest": str(found.digest),
        "size": found.size + config.size + sum(layer.size for layer in manifest.layers),
        "config": str(config.digest),
        "layers": [{"digest": str(layer.digest), "size": layer.size} for layer in manifest.layers],
        "annotations": {**manifest.annotations, **found.annotations},
    }


def _platform(config: dict[str, Any]) -> Platform:
    """The platform an image's config says (image-spec, config.md)."""
    return Platform(*(str(config.get(key, "")) for key in ("os", "architecture", "variant")))


def _show(told: dict[str, dict[str, Any]]) -> None:
    console = out_console()
    for tag, about in told.items():
        rows = [(i["platform"], i["digest"], f"{i['size'] / 1e6:.2f} MB") for i in about["images"]]
        for line in (f"{tag}: {about['digest']}", *_annotations(about["annotations"])):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print(table(("platform", "digest", "compressed"), rows))
        for image in about["images"]:
            for line in _annotations(image["annotations"]):
                console.print(
                    f"{image['platform']} {line.strip()}", markup=False, highlight=False, soft_wrap=True
                )
        console.print()


def _annotations(found: dict[str, str]) -> list[str]:
    return [f"  {name}: {_NOT_TEXT.sub('?', value)}" for name, value in sorted(found.items())]
