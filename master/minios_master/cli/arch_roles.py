"""`minios arch promote`, `demote` and `retire`: an arch's role, as a diff of `minios.yaml`."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.projects import open_project
from minios_master.reload import reload_master
from minios_master.settings import Settings
from minios_master.state_lock import StateLock
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.roles_file import with_role
from minios_steps.core.ladder import demoted, promoted, retired
from minios_steps.core.sources.storage import replacing

from .output import CliContext, err_console

if TYPE_CHECKING:
    from minios_steps.core.config.base import Role
    from minios_steps.core.config.project import Project

ArchArgument = Annotated[str, typer.Argument(help="The arch.")]


def promote(ctx: typer.Context, name: ArchArgument) -> None:
    """Make a candidate optional, an optional arch required, or a retired one a candidate again.

    It enters releases only when a candidate of it passed the smoke test. Writes minios.yaml, prints
    the diff, and has the running master read it.
    """
    context: CliContext = ctx.obj
    project = _project(context, name)
    store = CandidateStore(Settings(context.config, context.state).store)
    _write(context, project, name, promoted(project, store, name))


def demote(ctx: typer.Context, name: ArchArgument) -> None:
    """Make a required arch optional, or an optional one a candidate, which is in no release."""
    context: CliContext = ctx.obj
    project = _project(context, name)
    _write(context, project, name, demoted(project, name))


def retire(ctx: typer.Context, name: ArchArgument) -> None:
    """Build an arch no more; its file stays, so that what was released of it can be read."""
    context: CliContext = ctx.obj
    project = _project(context, name)
    _write(context, project, name, retired(project, name))


def _project(context: CliContext, name: str) -> Project:
    project = open_project(Settings(context.config, context.state))
    project.arch(name)
    return project


def _write(context: CliContext, project: Project, name: str, role: Role) -> None:
    path = (context.config / "minios.yaml").resolve()
    before, after = path.read_text("utf-8"), with_role(path, name, role)
    shown = f"{context.config.name}/minios.yaml"
    diff = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{shown}", f"b/{shown}"
    )
    sys.stdout.writelines(diff)
    with replacing(path) as stream:
        stream.write(after.encode())
    console = err_console()
    console.print(f"{name} was {project.role(name)} and is {role}: commit {path}", soft_wrap=True)
    if reload_master(StateLock(context.state)):
        console.print("the running master reads it")
