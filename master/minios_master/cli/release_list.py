"""`minios release list`: what the tags of a layout or repository are."""

from __future__ import annotations

from typing import Annotated

import typer

from minios_master.printable import printable
from minios_steps.core.errors import MiniosError
from minios_steps.core.released import find_released

from .output import out_console, print_json, table
from .stores import Access, CaOption, JsonOption, PlainHttpOption, open_place


def list_releases(
    ctx: typer.Context,  # noqa: ARG001  # every command has one
    repository: Annotated[
        str,
        typer.Argument(
            metavar="LAYOUT|docker://REPOSITORY",
            help="An OCI layout, DIR or oci:DIR, or docker://HOST[:PORT]/REPO.",
        ),
    ],
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the releases that tags point at, the newest first: version, platforms, time, who asked or why."""
    with open_place(repository, Access(plain_http, ca)) as place:
        if place.tag or place.digest:
            raise MiniosError(f"{repository}: name the whole repository, without {place.ref}")
        found = find_released(place.store)
    if as_json:
        print_json({place.kind: place.name, "releases": [one.as_json() for one in found]})
        return
    rows = [
        (
            one.digest.short,
            ", ".join(one.tags),
            " ".join(filter(None, (one.version, one.variant))) or "-",
            ", ".join(platform for platform, _ in one.platforms),
            one.time[:19].replace("T", " ") or "-",
            printable(one.by) or "-",
        )
        for one in found
    ]
    console = out_console()
    console.print(table(("digest", "tags", "release", "platforms", "time (UTC)", "by"), rows))
    for one in found:
        if one.problem:
            console.print(f"{one.digest.short}: {one.problem}", soft_wrap=True)
