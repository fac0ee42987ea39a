"""`minios arch list` and `show`: each arch with its role, its workers and its newest candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_master.projects import open_project
from minios_master.remote.folders import RemoteFolder
from minios_master.remote.standing import standing_of
from minios_master.settings import Settings
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.ladder import newest_candidates, smoke_of

from .output import CliContext, out_console, print_json, table

if TYPE_CHECKING:
    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.config.project import Project

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_COLUMNS = ("arch", "role", "platform", "remote workers", "newest candidate")


def list_arches(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the arches that have a file."""
    context: CliContext = ctx.obj
    settings = Settings(context.config, context.state)
    project = open_project(settings)
    told = [_told(project, settings, name) for name in project.arches]
    if as_json:
        print_json(told)
        return
    rows = [
        (one["name"], one["role"], one["platform"], _workers(one["workers"]), _newest(one["candidates"]))
        for one in told
    ]
    out_console().print(table(_COLUMNS, rows))


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The arch.")],
    as_json: JsonOption = False,
) -> None:
    """Show one arch: its role, its remote workers and its newest candidates."""
    context: CliContext = ctx.obj
    settings = Settings(context.config, context.state)
    project = open_project(settings)
    told = _told(project, settings, name)
    if as_json:
        print_json(told)
        return
    console = out_console()
    for key in ("name", "role", "platform", "description"):
        console.print(f"{key}: {told[key] or '-'}", soft_wrap=True)
    console.print(f"remote workers: {_workers(told['workers'])}", soft_wrap=True)
    for one in told["candidates"] or ["none"]:
        console.print(f"candidate: {one if isinstance(one, str) else _candidate(one)}", soft_wrap=True)


def _told(project: Project, settings: Settings, name: str) -> dict[str, Any]:
    arch = project.arch(name)
    folder = RemoteFolder(settings.remote)
    members = [member for member in folder.roster.members() if member.arch == name and member.may_work]
    return {
        "name": name,
        "role": project.role(name),
        "platform": str(arch.platform.platform),
        "description": arch.description,
        "workers": {member.name: standing_of(member, project, folder).verdict for member in members},
        "candidates": [
            _record(record) for record in newest_candidates(project, CandidateStore(settings.store), name)
        ],
    }


def _record(record: CellRecord) -> dict[str, Any]:
    return {
        "version": record.version,
        "variant": record.variant,
        "built": record.built,
        "digest": str(record.descriptor.digest),
        "size": record.size,
        "smoke": smoke_of(record),
    }


def _workers(workers: dict[str, str]) -> str:
    return ", ".join(f"{name} ({verdict})" for name, verdict in workers.items()) or "-"


def _newest(candidates: list[dict[str, Any]]) -> str:
    return _candidate(candidates[0]) if candidates else "-"


def _candidate(one: dict[str, Any]) -> str:
    return f"{one['version']} {one['variant']}, {one['built']}, smoke test {one['smoke']}"
