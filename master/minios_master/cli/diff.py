"""`minios diff`: what is different between two images, down to the section of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.printable import printable
from minios_steps.core.diff.images import compare

from .images import IMAGE_HELP, open_named
from .output import FAILED, CliContext, out_console, print_json, table
from .stores import Access, CaOption, JsonOption, PlainHttpOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from minios_steps.core.diff.model import Compared

MAX_SHOWN = 40
"""Differences of one image that the table shows; `--json` has all."""

_SHORT = 12


def diff(
    ctx: typer.Context,
    before: Annotated[
        str, typer.Argument(metavar="A", help=f"{IMAGE_HELP} `@ARCH` behind it takes one image of an index.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="Likewise.")],
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which files, ELF sections, modes, times, links, labels differ. Exit 1 when any does."""
    context: CliContext = ctx.obj
    access = Access(plain_http, ca)
    with open_named(before, context, access) as one, open_named(after, context, access) as other:
        told = compare(one.side(context), other.side(context))
    equal = all(item.before == item.after for item in told)
    if as_json:
        print_json({"equal": equal, "compared": [item.as_json() for item in told]})
    else:
        show(told, out_console())
    if not equal:
        raise typer.Exit(FAILED)


def show(told: Iterable[Compared], console: Console) -> None:
    """Print what was compared: a line for each, and a table of what is different."""
    for item in told:
        sides = [digest.removeprefix("sha256:")[:_SHORT] or "-" for digest in (item.before, item.after)]
        if item.before == item.after:
            console.print(f"{item.of}: equal, {sides[0]}", soft_wrap=True)
            continue
        console.print(f"{item.of}: {sides[0]} → {sides[1]}", soft_wrap=True)
        shown = item.differences[:MAX_SHOWN]
        rows = [tuple(map(printable, (d.where, d.what, d.before, d.after))) for d in shown]
        console.print(table(("where", "what", "before", "after"), rows))
        if more := len(item.differences) - len(shown):
            console.print(f"and {more} more; --json shows all", soft_wrap=True)
