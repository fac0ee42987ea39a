"""`minios release copy`: a release from one layout or registry to another, byte for byte."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_steps.core.errors import MiniosError, PolicyError
from minios_steps.core.oci.copying import Copier, Step
from minios_steps.core.oci.layout_store import LayoutStore

from .immutable import immutable_tags
from .output import err_console, out_console, print_json
from .stores import DEFAULT_TAG, REF, REF_HELP, Access, JsonOption, Place, open_place, shown

if TYPE_CHECKING:
    from collections.abc import Callable


def copy(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help=f"{REF}. {REF_HELP} Without one: latest.")],
    target: Annotated[
        str, typer.Argument(metavar="DST", help="Likewise; without a tag it gets that of SRC.")
    ],
    src_plain_http: Annotated[
        bool, typer.Option("--src-plain-http", help="SRC's registry speaks http.")
    ] = False,
    src_ca: Annotated[
        Path | None, typer.Option("--src-ca", metavar="FILE", help="Authorities for SRC's registry.")
    ] = None,
    dst_plain_http: Annotated[
        bool, typer.Option("--dst-plain-http", help="DST's registry speaks http.")
    ] = False,
    dst_ca: Annotated[
        Path | None, typer.Option("--dst-ca", metavar="FILE", help="Authorities for DST's registry.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a release with all platforms, its record, SBOMs and signatures; what is there is not sent."""
    with (
        open_place(source, Access(src_plain_http, src_ca)) as src,
        open_place(target, Access(dst_plain_http, dst_ca), new=True) as dst,
    ):
        tag = dst.tag or src.tag or ("" if src.digest else DEFAULT_TAG)
        if dst.digest or not tag:
            raise MiniosError(f"{target}: name the tag it shall have: DST:TAG")
        _check_tag(ctx, src, dst, tag)
        layout = src.store.layout if isinstance(src.store, LayoutStore) else None
        copier = Copier(
            src.store,
            dst.store,
            path_of=layout.blob_path if layout else None,
            mount=_mount(src, dst),
            report=_reporter(),
        )
        told = copier.copy(src.ref, tag)
    if as_json:
        data: dict[str, Any] = {**asdict(told), "digest": str(told.digest)}
        print_json({"from": src.shown, "to": shown(dst.store, tag), **data})
        return
    console = out_console()
    if told.sent or told.mounted or told.manifests or told.moved:
        console.print(
            f"{told.sent} blobs sent ({told.bytes / 1e6:.2f} MB), {told.mounted} mounted, "
            f"{told.there} there before; {told.manifests} manifests written",
            soft_wrap=True,
        )
    verb = "is a copy of" if told.moved else "was a copy already of"
    console.print(
        f"{shown(dst.store, tag)} {verb} {src.shown}: {told.digest}, {told.images} images, "
        f"{told.referrers} referrers",
        soft_wrap=True,
    )


def _check_tag(ctx: typer.Context, src: Place, dst: Place, tag: str) -> None:
    """Refuse before anything is sent to move a tag that must not move."""
    there = dst.store.head(tag)
    if there and immutable_tags(ctx.obj, dst)(tag) and there.digest != src.store.manifest(src.ref).digest:
        raise PolicyError(
            f"{shown(dst.store, tag)} is {there.digest}, and the configuration says that it never moves",
            hint="copy to another tag",
        )


def _mount(src: Place, dst: Place) -> Callable[..., bool]:
    """How a blob gets from one repository to another of one registry without being sent."""
    if isinstance(src.store, LayoutStore) or isinstance(dst.store, LayoutStore):
        return lambda _: False
    source, target = src.store, dst.store
    if source.host != target.host:
        return lambda _: False
    return lambda digest: target.repository.mount_blob(digest, source.repository.name)


def _reporter() -> Callable[[Step], None]:
    """A line for each manifest, for who is watching."""
    console = err_console()
    if not console.is_terminal:
        return lambda _: None

    def line(step: Step) -> None:
        about = step.about or step.kind
        sent = f"sent {step.bytes / 1e6:.2f} MB" if step.sent else "nothing to send"
        console.print(f"{about} {step.digest.short} {sent}", soft_wrap=True)

    return line
