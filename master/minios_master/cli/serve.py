"""`minios up`, `down`, `status`: the embedded master kept running."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from minios_master.api import MasterApi, NoAnswerError
from minios_master.destination import place_of, settled
from minios_master.detached import stop_detached
from minios_master.embedded import EmbeddedMaster
from minios_master.printable import printable
from minios_master.secret_files import check_secrets
from minios_master.settings import Settings
from minios_master.state_lock import StateLock
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import MiniosError

from .folders import OutOption, PlainHttpOption, RegistryOption
from .output import CliContext, out_console, print_json, table

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def up(
    ctx: typer.Context,
    out: OutOption = None,
    registry: RegistryOption = "",
    plain_http: PlainHttpOption = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The web port; 0: as configured.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Start the master and leave it running, with its web interface on loopback."""
    context: CliContext = ctx.obj
    project = load_project(context.config)
    settings = Settings(
        context.config, context.state, out and out.resolve(), registry, plain_http, web_port=port
    )
    settings = settled(settings, place_of(project, settings, Path()))
    check_secrets(project, settings)
    master = EmbeddedMaster(settings, project.minios.web)
    api = master.start("up")
    run = StateLock(context.state).holder()
    master.detach()
    if as_json:
        print_json(dataclasses.asdict(run) if run else {})
    else:
        out_console().print(f"the master is up: {api.url}")
        out_console().print("stop it with: minios down")


def down(ctx: typer.Context) -> None:
    """Stop the master that `up` started."""
    context: CliContext = ctx.obj
    run = stop_detached(StateLock(context.state))
    told = f"the master (pid {run.pid}) is stopped" if run else f"no master runs in {context.state}"
    out_console().print(told, soft_wrap=True)


def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show whether a master runs here, its workers and what it builds; exit 1 when none does."""
    context: CliContext = ctx.obj
    lock = StateLock(context.state)
    run = lock.holder()
    if run is None:
        if as_json:
            print_json({"running": False})
        else:
            what = lock.who() if lock.is_held() else f"no master runs in {context.state}"
            out_console().print(what, soft_wrap=True)
        raise typer.Exit(1)
    try:
        api = MasterApi(run.url)
        workers = [
            w for w in api.get("workers")["workers"] if w["configured_on"] and not w["name"].startswith("__")
        ]
        names = api.builder_names()
        building = api.get("builds", complete="false")["builds"]
    except NoAnswerError as error:
        raise MiniosError(
            f"the master does not answer at {run.url} ({run.kind}, pid {run.pid})",
            hint="it may still be starting; its log is master/twistd.log in the state folder",
        ) from error
    connected = {w["name"]: bool(w["connected_to"]) for w in workers}
    busy = [f"{names.get(b['builderid'], '?')} #{b['number']}: {b['state_string']}" for b in building]
    if as_json:
        told = {**dataclasses.asdict(run), "running": True, "workers": connected, "building": busy}
        print_json(told)
        return
    console = out_console()
    console.print(f"{run.kind} since {run.started}, pid {run.pid}, {run.url}", soft_wrap=True)
    rows = [(name, "connected" if here else "not connected") for name, here in sorted(connected.items())]
    console.print(table(("worker", "state"), rows))
    for line in busy or ["nothing is being built"]:
        console.print(printable(line), soft_wrap=True)
