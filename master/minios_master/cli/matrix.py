"""`minios matrix`: build everything, show it live, sum it up."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.api import MasterApi
from minios_master.embedded import EmbeddedMaster
from minios_master.live import LiveDisplay
from minios_master.matrix_run import Choices, MatrixRun, Outcome
from minios_master.settings import Settings
from minios_master.state_lock import StateLock
from minios_master.summary import outcome_lines, outcome_table
from minios_steps.core.config.load import load_project
from minios_steps.core.config.project import Project
from minios_steps.core.errors import MiniosError
from minios_steps.core.plan import plan_matrix
from minios_steps.core.policy import GOOD

from .output import CliContext, err_console, out_console, print_json

if TYPE_CHECKING:
    from rich.console import Console

ArchOption = Annotated[list[str] | None, typer.Option("--arch", help="Only this arch; may be repeated.")]
VersionOption = Annotated[
    list[str] | None, typer.Option("--version", help="A pinned version or `newest`; may be repeated.")
]
VariantOption = Annotated[
    list[str] | None, typer.Option("--variant", help="`static` or `dynamic`; may be repeated.")
]


def matrix(
    ctx: typer.Context,
    arch: ArchOption = None,
    version: VersionOption = None,
    variant: VariantOption = None,
    out: Annotated[Path | None, typer.Option(help="The OCI layout to write.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="make -j; 0: as configured.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Build even what was built before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Build the matrix and write one multi-arch image per version and variant."""
    context: CliContext = ctx.obj
    project = load_project(context.config)
    choices = Choices(tuple(version or ()), tuple(variant or ()), tuple(arch or ()), jobs, force)
    # Wrong names are found before anything is started.
    plan_matrix(project, versions=choices.versions, variants=choices.variants, arches=choices.arches)
    target = (out or Path(project.minios.destination.path)).resolve()
    # The table is progress, not data: with --json it goes where it cannot mix with the data.
    console = err_console() if as_json else out_console()
    outcome = _run(context, project, choices, target, console)
    code = exit_code(project, outcome)
    if as_json:
        print_json({**dataclasses.asdict(outcome), "out": str(target), "exit": code})
    else:
        _print_outcome(console, outcome, target)
    raise typer.Exit(code)


def _run(context: CliContext, project: Project, choices: Choices, target: Path, console: Console) -> Outcome:
    """Use the master that `up` left running here, else one that lives as long as this run."""
    running = StateLock(context.state).holder()
    if running is not None and running.kind == "up":
        if running.out != str(target):
            raise MiniosError(
                f"the running master writes to {running.out}, not to {target}",
                hint="leave --out away, or run `minios down` first",
            )
        return _follow(MasterApi(running.url), choices, console)
    settings = Settings(context.config, context.state, target, lifeline=True)
    master = EmbeddedMaster(settings, project.minios.web)
    try:
        api = master.start("matrix")
        console.print(f"master at {api.url} (stops with this run)", highlight=False)
        api.cancel_leftovers()
        return _follow(api, choices, console)
    finally:
        master.stop()


def _follow(api: MasterApi, choices: Choices, console: Console) -> Outcome:
    with LiveDisplay(console) as display:
        return MatrixRun(api, display.show).run(choices)


def _print_outcome(console: Console, outcome: Outcome, target: Path) -> None:
    console.print(outcome_table(outcome))
    shown = os.path.relpath(target)
    for line in outcome_lines(outcome, shown if not shown.startswith("..") else str(target)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{outcome.seconds:.0f} s in all", highlight=False)


def exit_code(project: Project, outcome: Outcome) -> int:
    """0 when every required cell that was asked for is good and nothing was blocked, else 1."""
    bad = [c for c in outcome.cells if c["outcome"] not in GOOD and project.role(c["arch"]) == "required"]
    nothing = all(cell["outcome"] not in GOOD for cell in outcome.cells)
    blocked = any(release["outcome"] == "blocked" for release in outcome.releases)
    wanted = {(cell["version"], cell["variant"]) for cell in outcome.cells}
    silent = wanted - {(release["version"], release["variant"]) for release in outcome.releases}
    return 1 if bad or nothing or blocked or silent else 0
