"""`minios worker list` and `show`: who is invited, attached, connected, paused."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_master.api import MasterApi
from minios_master.printable import printable
from minios_master.remote.folders import RemoteFolder
from minios_master.settings import Settings
from minios_master.state_lock import StateLock

from .output import CliContext, out_console, print_json, table

if TYPE_CHECKING:
    from minios_master.remote.roster import Member

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SECRETS = ("invite", "password")
_COLUMNS = ("name", "arch", "state", "connected", "jobs", "machine")


def list_workers(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the workers of other machines."""
    context: CliContext = ctx.obj
    members = RemoteFolder(Settings(context.config, context.state).remote).roster.members()
    live = _live(context)
    told = [_told(member, live) for member in members]
    if as_json:
        print_json(told)
        return
    if not told:
        out_console().print("no remote workers; invite one with: minios worker invite ARCH")
        return
    out_console().print(table(_COLUMNS, [_row(member) for member in told]))


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The worker.")],
    as_json: JsonOption = False,
) -> None:
    """Show one worker: when it was invited and attached, what it said of itself, what it does now."""
    context: CliContext = ctx.obj
    member = RemoteFolder(Settings(context.config, context.state).remote).roster.find(name)
    told = _told(member, _live(context))
    if as_json:
        print_json(told)
        return
    machine = told.pop("machine")
    for key, value in (*told.items(), *machine.items()):
        out_console().print(printable(f"{key}: {_text(value)}"), soft_wrap=True)


def _live(context: CliContext) -> dict[str, dict[str, Any]] | None:
    """What the running master says of its workers, by name; None when none runs."""
    run = StateLock(context.state).holder()
    if run is None:
        return None
    return {worker["name"]: worker for worker in MasterApi(run.url).get("workers")["workers"]}


def _told(member: Member, live: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
    """A member as data, without its hashes; `connected` and `paused` are None when no master runs."""
    told = {key: value for key, value in dataclasses.asdict(member).items() if key not in _SECRETS}
    told["state"] = member.state(dt.datetime.now(dt.timezone.utc))
    worker = (live or {}).get(member.name, {})
    told["connected"] = None if live is None else bool(worker.get("connected_to"))
    told["paused"] = None if live is None else bool(worker.get("paused"))
    told["pause_reason"] = worker.get("pause_reason") or ""
    return told


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    why = f": {told['pause_reason']}" if told["pause_reason"] else ""
    state = f"{told['state']}, paused{why}" if told["paused"] else told["state"]
    machine = " ".join(filter(None, (told["machine"].get("uname"), told["machine"].get("python"))))
    return (
        told["name"],
        told["arch"],
        printable(state),
        _text(told["connected"]),
        str(told["jobs"] or "cores"),
        printable(machine) or "-",
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)
