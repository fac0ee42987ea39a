"""`minios release show`: one release, and everything its records say."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.printable import printable
from minios_steps.core.released import describe

from .output import out_console, print_json, table
from .stores import REF, REF_HELP, Access, CaOption, JsonOption, PlainHttpOption, open_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.records import ReleaseRecord
    from minios_steps.core.released import Released


def show(
    ctx: typer.Context,  # noqa: ARG001  # every command has one
    reference: Annotated[str, typer.Argument(metavar=REF, help=f"{REF_HELP} Without one: latest.")],
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a release's platforms, and its records: who, from what, each cell's outcome, what was before."""
    with open_place(reference, Access(plain_http, ca)) as place:
        found = place.store.manifest(place.ref)
        tags = [
            tag
            for tag in place.store.tags()
            if (there := place.store.head(tag)) and there.digest == found.digest
        ]
        told = describe(place.store, found, tags)
    if as_json:
        records = [record.as_json() for record in told.records]
        print_json({place.kind: place.name, **told.as_json(), "records": records})
        return
    console = out_console()
    for line in _head(told):
        console.print(printable(line), soft_wrap=True)
    console.print(table(("platform", "digest"), [(name, str(digest)) for name, digest in told.platforms]))
    for record in told.records:
        for line in _lines(record):
            console.print(printable(line), soft_wrap=True)
        if record.cells:
            rows = [
                (cell.arch, cell.outcome, cell.digest.removeprefix("sha256:")[:12] or "-", cell.reason or "-")
                for cell in record.cells
            ]
            console.print(table(("arch", "outcome", "digest", "reason"), rows))


def _head(told: Released) -> Iterator[str]:
    yield f"{told.digest}"
    yield f"tags: {', '.join(told.tags) or 'none'}"
    if told.version:
        yield f"release: {told.version} {told.variant}".rstrip()
    if told.problem:
        yield f"records: {told.problem}"
    elif not told.records:
        yield "records: none"


def _lines(record: ReleaseRecord) -> Iterator[str]:
    """A record's own fields, but for its cells."""
    yield f"{record.action} at {record.time}: {', '.join(record.tags)}"
    for name, told in dataclasses.asdict(record.trigger).items():
        if told:
            yield f"  {name}: {told}"
    for tag, before in record.previous.items():
        yield f"  {tag} was {before}"
    if record.source_sha256:
        yield f"  source: sha256:{record.source_sha256}"
    if record.config:
        yield f"  configuration: {record.config}"
    if record.versions:
        yield "  made with: " + ", ".join(f"{name} {version}" for name, version in record.versions.items())
    for arch, why in record.left_out.items():
        yield f"  left out: {arch}: {why}"
