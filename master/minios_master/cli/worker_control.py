"""`minios worker pause`, `resume`, `revoke` and `reload`."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from minios_master.api import MasterApi
from minios_master.reload import reload_master
from minios_master.remote.folders import RemoteFolder
from minios_master.settings import Settings
from minios_master.state_lock import StateLock
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import MiniosError

from .output import CliContext, out_console

_METHODS = {"pause": "pause", "resume": "unpause"}
"""Buildbot's names of what is asked for."""

NameArgument = Annotated[str, typer.Argument(help="The worker.")]


def pause(
    ctx: typer.Context,
    name: NameArgument,
    reason: Annotated[str, typer.Option(help="Why; shown with the worker.")] = "paused by the operator",
) -> None:
    """Give a worker no new builds; what it builds now goes on."""
    _control(ctx.obj, name, "pause", reason=reason)
    out_console().print(f"{name} is paused")


def resume(ctx: typer.Context, name: NameArgument) -> None:
    """Give a paused worker builds again."""
    _control(ctx.obj, name, "resume")
    out_console().print(f"{name} gets builds again")


def revoke(ctx: typer.Context, name: NameArgument) -> None:
    """Shut a worker out for good, at once; what it builds now is lost and given to another."""
    context: CliContext = ctx.obj
    roster = RemoteFolder(Settings(context.config, context.state).remote).roster
    roster.revoke(name, dt.datetime.now(dt.timezone.utc))
    reload_master(StateLock(context.state))
    out_console().print(f"{name} is revoked: neither its invite nor its password opens anything")


def reload(ctx: typer.Context) -> None:
    """Have the running master read the configuration again: a new arch gets builds, running ones go on."""
    context: CliContext = ctx.obj
    # What is wrong in it would only be in the master's log.
    load_project(context.config)
    if not reload_master(StateLock(context.state)):
        raise MiniosError("no master runs here to be told so", hint="start it with: minios up")
    out_console().print("the master reads its configuration again")


def _control(context: CliContext, name: str, method: str, **params: str) -> None:
    member = RemoteFolder(Settings(context.config, context.state).remote).roster.find(name)
    if member.revoked:
        raise MiniosError(
            f"worker {name!r} was revoked: there is nothing to {method}",
            hint=f"a new invite lets a machine in again: minios worker invite {member.arch} --name {name}",
        )
    run = StateLock(context.state).holder()
    if run is None:
        raise MiniosError("no master runs here to be told so", hint="start it with: minios up")
    api = MasterApi(run.url)
    known = {worker["name"]: worker["workerid"] for worker in api.get("workers")["workers"]}
    if name not in known:
        raise MiniosError(f"worker {name!r} has not attached yet: there is nothing to {method}")
    api.control(f"workers/{known[name]}", _METHODS[method], **params)
