"""`minios inspect`: what an OCI layout or a registry holds: platforms, digests, sizes, annotations."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.media import INDEXES
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor, RawManifest, decode
from minios_steps.core.platform import Platform

from .output import err_console, out_console, print_json, table

if TYPE_CHECKING:
    from minios_steps.core.oci.verify import BlobSource

_DOCKER = "docker://"
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def inspect(
    ctx: typer.Context,  # noqa: ARG001  # every command has one
    reference: Annotated[
        str,
        typer.Argument(
            metavar="LAYOUT[:TAG]|docker://REFERENCE",
            help="An OCI layout: DIR[:TAG] or oci:DIR[:TAG]. "
            "Or what a registry has: docker://HOST[:PORT]/REPO[:TAG|@DIGEST].",
        ),
    ],
    plain_http: Annotated[bool, typer.Option("--plain-http", help="The registry speaks http.")] = False,
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="Authorities the registry is trusted by.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the platforms, digests, sizes and annotations of a layout, of a tag, or of a registry's image."""
    if reference.startswith(_DOCKER):
        name, told = _from_registry(reference.removeprefix(_DOCKER), plain_http=plain_http, ca=ca)
        place = {"repository": name}
    elif plain_http or ca:
        raise MiniosError("--plain-http and --ca are for registries", hint="give docker://HOST/REPO[:TAG]")
    else:
        folder, told = _from_layout(reference)
        place = {"layout": str(folder)}
    if as_json:
        print_json({**place, "tags": told})
    else:
        _show(told)


def _from_layout(reference: str) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A layout's folder, and its tags as data: one, or all."""
    folder, tag = split_reference(reference)
    layout = Layout(folder)
    if not layout.exists:
        raise MiniosError(
            f"{folder}: there is no OCI image layout",
            hint="give DIR[:TAG] or oci:DIR[:TAG], or docker://HOST/REPO[:TAG]",
        )
    tags = layout.tags()
    if tag and tag not in tags:
        raise MiniosError(f"{folder}: there is no tag {tag!r} (there are: {', '.join(tags) or 'none'})")
    return folder, {name: describe(layout, found) for name, found in tags.items() if tag in ("", name)}


def _from_registry(text: str, *, plain_http: bool, ca: Path | None) -> tuple[str, dict[str, dict[str, Any]]]:
    """A repository's name, and what one tag or digest of it is; `latest` when none is given."""
    # Layouts need neither, and requests costs a fifth of a second.
    from minios_steps.core.registry.client import Registry  # noqa: PLC0415
    from minios_steps.core.registry.credentials import docker_credentials  # noqa: PLC0415
    from minios_steps.core.registry.endpoint import Endpoint  # noqa: PLC0415
    from minios_steps.core.registry.reference import Reference  # noqa: PLC0415
    from minios_steps.core.web.patience import Patience  # noqa: PLC0415

    wanted = Reference.parse(text)
    # Somebody is waiting at the keyboard.
    patience = Patience(tries=3)
    endpoint = Endpoint(wanted.registry, plain_http=plain_http, ca=ca, patience=patience)
    credentials = docker_credentials(wanted.registry, os.environ)
    with Registry(
        endpoint, credentials, report=lambda line: err_console().print(line, soft_wrap=True)
    ) as registry:
        repository = registry.repository(wanted.repository)
        found = repository.get_manifest(wanted.digest or wanted.target)
        descriptor = Descriptor(found.media_type, found.digest, len(found.raw))
        return wanted.name, {wanted.target: describe(repository, descriptor)}


def split_reference(text: str) -> tuple[Path, str]:
    """A layout's folder and a tag, empty for all, from `[oci:]DIR[:TAG]`."""
    text = text.removeprefix("oci:")
    if Path(text).is_dir():
        return Path(text), ""
    folder, colon, tag = text.rpartition(":")
    return (Path(folder), tag) if colon and folder else (Path(text), "")


def describe(source: BlobSource, found: Descriptor) -> dict[str, Any]:
    """What a tag points at, as data: an index with its images, or one image.

    Sizes are bytes; an image's is that of its manifest, config and compressed layers together.

    Raises:
        ImageError: a blob is missing, damaged or malformed.
    """
    about: dict[str, Any] = {"digest": str(found.digest), "media_type": found.media_type}
    if found.media_type not in INDEXES:
        return {**about, "annotations": {}, "images": [_image(source, found)]}
    index = parse_index(source.read(found.digest, MANIFEST_LIMIT), str(found.digest))
    images = [_image(source, entry) for entry in index.entries]
    return {**about, "annotations": dict(index.annotations), "images": images}


def _image(source: BlobSource, found: Descriptor) -> dict[str, Any]:
    manifest = RawManifest.parse(source.read(found.digest, MANIFEST_LIMIT), str(found.digest))
    config = manifest.config
    where = found.platform or _platform(
        decode(source.read(config.digest, MANIFEST_LIMIT), str(config.digest))
    )
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
