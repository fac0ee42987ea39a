"""`minios worker probe`: measure a worker's machine again."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from minios_master.api import MasterApi
from minios_master.remote.folders import RemoteFolder
from minios_master.settings import Settings
from minios_master.state_lock import StateLock
from minios_steps.core.config.arch_name import PROBE_PREFIX
from minios_steps.core.errors import MiniosError

from .output import FAILED, CliContext, out_console, print_json
from .worker_list import JsonOption, show_mismatches, show_record
from .worker_told import told_workers

_PAUSE = 0.2
_SUCCESS, _FAILURE = 0, 2


def probe(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The worker.")],
    as_json: JsonOption = False,
) -> None:
    """Measure a worker's machine, and hold it against the arch's file; exit 1 when it does not fit."""
    context: CliContext = ctx.obj
    RemoteFolder(Settings(context.config, context.state).remote).roster.find(name)
    run = StateLock(context.state).holder()
    if run is None:
        raise MiniosError("no master runs here to probe it", hint="start it with: minios up")
    _build(MasterApi(run.url), name)
    [(told, standing)] = told_workers(context, name)
    refused = standing.verdict == "refused"
    if as_json:
        mismatches = [vars(one) for one in standing.mismatches]
        record = standing.record.model_dump(mode="json") if standing.record else None
        print_json({"name": name, "probe": standing.verdict, "mismatches": mismatches, "record": record})
    else:
        if standing.record:
            show_record(standing.record)
        show_mismatches(told["arch"], standing.mismatches)
        out_console().print(f"{name}: {_verdict(name, told['arch'], standing.verdict)}", soft_wrap=True)
    raise typer.Exit(FAILED if refused else 0)


def _build(api: MasterApi, name: str) -> None:
    """Have the master probe the worker, and wait for the end."""
    builders = {builder: number for number, builder in api.builder_names().items()}
    workers = {worker["name"]: worker for worker in api.get("workers")["workers"]}
    if PROBE_PREFIX + name not in builders or not workers.get(name, {}).get("connected_to"):
        raise MiniosError(f"worker {name!r} is not connected: there is nothing to probe")
    builder = builders[PROBE_PREFIX + name]
    _, asked = api.control("forceschedulers/probe", "force", builderid=builder)
    request = int(next(iter(asked.values())))
    while not (build := api.build_of_request(request)) or not build["complete"]:
        if not build and api.request(request)["complete"]:
            raise MiniosError(f"the probe of {name} was cancelled")
        time.sleep(_PAUSE)
    if build["results"] in (_SUCCESS, _FAILURE) and api.properties(build["buildid"]).get("verdict"):
        return
    raise MiniosError(f"the probe of {name} did not end well: {build['state_string']}")


def _verdict(name: str, arch: str, verdict: str) -> str:
    return {
        "passed": f"passed, it gets cells of {arch}",
        "refused": "refused, it gets no cells",
        "no arch file": f"measured; next: minios arch new {arch} --from-worker {name}",
    }.get(verdict, verdict)
