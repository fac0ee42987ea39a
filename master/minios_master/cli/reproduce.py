"""`minios reproduce`: build a release again from its record, and say whether it is the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.printable import printable
from minios_master.projects import open_project
from minios_master.reproduction import Reproduction
from minios_master.settings import Settings
from minios_steps.core.diff.model import Compared
from minios_steps.core.errors import MiniosError
from minios_steps.core.released import describe

from .diff import show as show_differences
from .images import IMAGE_HELP, open_named
from .matrix import ArchOption, run_embedded
from .output import FAILED, CliContext, err_console, out_console, print_json, table
from .stores import Access, CaOption, JsonOption, PlainHttpOption

if TYPE_CHECKING:
    from rich.console import Console

    from minios_steps.core.records import ReleaseRecord
    from minios_steps.core.released import Released
    from minios_steps.core.reproduce import Verdict


def reproduce(
    ctx: typer.Context,
    reference: Annotated[str, typer.Argument(metavar="REF", help=IMAGE_HELP)],
    arch: ArchOption = None,
    jobs: Annotated[int, typer.Option(min=0, help="make -j; 0: as configured.")] = 0,
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build a release again here, from its record; exit 0 only when every arch is bit-identical.

    Nothing that is in the state folder is used but fetched sources, which are hashed again.
    """
    context: CliContext = ctx.obj
    settings = Settings(context.config, context.state)
    project = open_project(settings)
    console = err_console() if as_json else out_console()
    with open_named(reference, context, Access(plain_http, ca)) as named:
        told = describe(named.store, named.store.manifest(named.ref), [])
        record = _record(told, reference)
        console.print(f"{reference} is {told.digest}, {record.version} {record.variant}", soft_wrap=True)
        made = Reproduction(
            project,
            settings,
            lambda its, recorded, choices: run_embedded(its, recorded, choices, console),
            jobs=jobs,
        )
        asked = list(dict.fromkeys((*(arch or ()), *filter(None, (named.arch,)))))
        verdicts = made.reproduce(named.store, record, asked)
    good = bool(verdicts) and all(verdict.outcome == "identical" for verdict in verdicts)
    if as_json:
        index = {"reference": reference, "index": str(told.digest)}
        print_json({**index, "identical": good, "arches": [verdict.as_json() for verdict in verdicts]})
    else:
        _show(verdicts, console)
    if not good:
        raise typer.Exit(FAILED)


def _record(told: Released, reference: str) -> ReleaseRecord:
    if told.problem:
        raise MiniosError(f"{reference}: its records cannot be read: {told.problem}")
    if told.made is None:
        raise MiniosError(
            f"{reference}: there is no record of how it was made, so it cannot be built again",
            hint="is it a release's index, and was it copied with what refers to it?",
        )
    return told.made


def _show(verdicts: list[Verdict], console: Console) -> None:
    rows = [(v.arch, _WORDS[v.outcome], _short(v.recorded), _short(v.rebuilt)) for v in verdicts]
    console.print(table(("arch", "outcome", "released", "built again"), rows))
    for verdict in verdicts:
        if verdict.reason:
            console.print(f"{verdict.arch}: {printable(verdict.reason)}", soft_wrap=True)
        if verdict.changed:
            told = printable("; ".join(verdict.changed))
            how = (
                "has changed since"
                if verdict.outcome == "unknown"
                else "has changed since; built as recorded"
            )
            console.print(f"{verdict.arch}: the configuration {how}: {told}", soft_wrap=True)
        if verdict.outcome == "different":
            differences = Compared(verdict.arch, verdict.recorded, verdict.rebuilt, verdict.differences)
            show_differences([differences], console)


_WORDS = {
    "identical": "bit-identical",
    "different": "not identical",
    "same-files": "same files, made by Docker",
    "unknown": "cannot be told",
}


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "-"
