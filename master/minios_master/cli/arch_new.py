"""`minios arch new`: an arch's file, from what a worker's machine was found to be."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.projects import open_project
from minios_master.reload import reload_master
from minios_master.remote.folders import RemoteFolder
from minios_master.remote.standing import standing_of
from minios_master.settings import Settings
from minios_master.state_lock import StateLock
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.arch_name import check_arch_name
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError, MiniosError
from minios_steps.core.ladder import good_candidate
from minios_steps.core.machine_probe.arch_file import arch_text
from minios_steps.core.sources.storage import replacing

from .matrix import matrix
from .output import FAILED, CliContext, out_console
from .worker_list import show_mismatches
from .worker_told import told_workers

if TYPE_CHECKING:
    from pathlib import Path

    from minios_master.remote.member import Member
    from minios_steps.core.config.project import Project
    from minios_steps.core.machine_probe.facts import ProbeRecord

_CELLS_SECONDS = 60
_PAUSE = 0.2


def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The arch's name.")],
    from_worker: Annotated[str, typer.Option("--from-worker", help="The worker whose machine is of it.")],
    build: Annotated[
        bool, typer.Option("--build", help="Have the running master read it, and build the first candidate.")
    ] = False,
) -> None:
    """Write arches/NAME.yaml from a worker's probe, with comments on what was measured and what to decide."""
    context: CliContext = ctx.obj
    settings = Settings(context.config, context.state)
    project = open_project(settings)
    check_arch_name(name)
    if build and not _is_up(context):
        raise MiniosError("no master runs here to build it", hint="start it with: minios up")
    path = context.config / "arches" / f"{name}.yaml"
    if path.exists():
        raise ConfigError(f"{path} is there already", hint="change it by hand, or remove it first")
    record = _record(project, RemoteFolder(settings.remote), name, from_worker)
    _write(path, arch_text(name, record))
    console = out_console()
    console.print(f"wrote {path}: go through what is marked `decide`, then commit it", soft_wrap=True)
    if not build:
        console.print(f"next: minios worker reload, then: minios matrix --arch {name}", soft_wrap=True)
        return
    reload_master(StateLock(context.state))
    _wait_for_cells(context, from_worker)
    try:
        matrix(ctx, arch=[name])
    except typer.Exit:
        # Of a candidate it says the same, however it ended.
        if good_candidate(load_project(context.config), CandidateStore(settings.store), name) is None:
            raise typer.Exit(FAILED) from None
    console.print(f"next: minios arch promote {name}")


def _record(project: Project, folder: RemoteFolder, name: str, worker: str) -> ProbeRecord:
    """The probe of the worker, when its machine is for this arch and of no other."""
    member = folder.roster.find(worker)
    if member.arch != name:
        raise ConfigError(f"worker {worker!r} was invited for {member.arch}, not for {name}")
    record = standing_of(member, project, folder).record
    if record is None:
        raise _not_probed(member)
    machine = record.machine
    for other, arch in project.arches.items():
        numbers = {found.machine for found in (machine.static, machine.dynamic) if not found.problem}
        if other != name and machine.uname in arch.uname and numbers & set(arch.elf.machines):
            raise ConfigError(
                f"the machine of {worker!r} is a {other}, and its {machine.compiler} compiles for that",
                hint="where it has a cross compiler, invite it with --cross-prefix",
            )
    return record


def _not_probed(member: Member) -> MiniosError:
    """Why there is no record of a worker's machine, and what leads to one."""
    name, state = member.name, member.state(dt.datetime.now(dt.timezone.utc))
    if state == "attached":
        return MiniosError(
            f"the machine of {name!r} was not probed yet",
            hint=f"it is when it connects to the master; or then: minios worker probe {name}",
        )
    if state == "invited":
        return MiniosError(
            f"worker {name!r} has not attached yet, so nobody knows its machine",
            hint=f"its invite is good until {member.expires}; it is probed when it comes",
        )
    what = "was revoked" if state == "revoked" else "did not use its invite in time"
    return MiniosError(
        f"worker {name!r} {what}, so nobody knows its machine",
        hint=f"invite it again: minios worker invite {member.arch} --name {name}",
    )


def _write(path: Path, text: str) -> None:
    """Write the file; one that the configuration is not good with does not stay."""
    with replacing(path) as stream:
        stream.write(text.encode())
    try:
        load_project(path.parents[1])
    except ConfigError as error:
        path.unlink()
        raise ConfigError(
            f"{path} was not written, since with it: {error.what}", details=error.details
        ) from error


def _is_up(context: CliContext) -> bool:
    run = StateLock(context.state).holder()
    return run is not None and run.kind == "up"


def _wait_for_cells(context: CliContext, worker: str) -> None:
    """Wait until the master, which reads its configuration again, gives the worker cells.

    Raises:
        MiniosError: it does not.
    """
    deadline = time.monotonic() + _CELLS_SECONDS
    while True:
        [(told, standing)] = told_workers(context, worker)
        if told["cells"]:
            return
        if standing.mismatches:
            show_mismatches(told["arch"], standing.mismatches)
            raise MiniosError(f"worker {worker!r} is refused: it does not fit the file that was written")
        if time.monotonic() > deadline:
            raise MiniosError(
                f"worker {worker!r} gets no cells", hint="see master/twistd.log in the state folder"
            )
        time.sleep(_PAUSE)
