"""`minios release retag` and `minios release rollback`: tags that move, with a record of it."""

from __future__ import annotations

import platform
import secrets
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.user import who_asks
from minios_steps.core.digest import Digest
from minios_steps.core.errors import MiniosError
from minios_steps.core.records import Trigger
from minios_steps.core.registry.claim import DEFAULT_TIMES, Holder, claimed
from minios_steps.core.registry.store import RegistryStore
from minios_steps.core.tag_moves import TagMover

from .immutable import immutable_tags
from .output import out_console, print_json
from .stores import REF, REF_HELP, Access, CaOption, JsonOption, Place, PlainHttpOption, open_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.tag_moves import Move


def retag(
    ctx: typer.Context,
    reference: Annotated[str, typer.Argument(metavar=REF, help=f"{REF_HELP} Without one: latest.")],
    tags: Annotated[list[str], typer.Argument(metavar="TAG...", help="The tags to point at it.")],
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Point further tags at what is there; no image is sent."""
    with open_place(reference, Access(plain_http, ca)) as place:
        moves = _mover(ctx, place, "minios release retag").retag(place.ref, tags)
    _tell(place, moves, as_json=as_json)


def rollback(
    ctx: typer.Context,
    reference: Annotated[str, typer.Argument(metavar="LAYOUT:TAG|docker://REPO:TAG", help="The tag.")],
    to: Annotated[
        str, typer.Option("--to", metavar="DIGEST", help="The index; else the one before, by the record.")
    ] = "",
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move a tag back to the index it pointed at before, when that is still whole."""
    with open_place(reference, Access(plain_http, ca)) as place:
        if not place.tag:
            raise MiniosError(f"{reference}: name the tag to move back")
        mover = _mover(ctx, place, "minios release rollback")
        moves = [mover.rollback(place.tag, Digest.parse(to) if to else None)]
    _tell(place, moves, as_json=as_json)


def _mover(ctx: typer.Context, place: Place, reason: str) -> TagMover:
    return TagMover(
        place.store,
        Trigger(owner=who_asks(), reason=reason),
        immutable=immutable_tags(ctx.obj, place),
        versions={"minios": version("minios-buildbot")},
        alone=lambda: _claim(place),
    )


def _claim(place: Place) -> AbstractContextManager[object]:
    """What keeps masters that release to the same registry away meanwhile; a layout has its own lock."""
    if not isinstance(place.store, RegistryStore):
        return nullcontext()
    holder = Holder(secrets.token_hex(16), f"minios on {platform.node()}")
    return claimed(place.store, holder, DEFAULT_TIMES)


def _tell(place: Place, moves: Sequence[Move], *, as_json: bool) -> None:
    if as_json:
        told = [
            {"tag": move.tag, "from": str(move.before) if move.before else None, "to": str(move.after)}
            for move in moves
        ]
        print_json({place.kind: place.name, "moves": told})
        return
    console = out_console()
    for move in moves:
        what = f"{move.before or 'new'} → {move.after}" if move.moved else f"is {move.after} already"
        console.print(f"{place.store.name}:{move.tag}: {what}", soft_wrap=True)
