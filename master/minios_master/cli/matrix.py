"""`minios matrix`: build everything, show it live, sum it up."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.api import MasterApi, NoAnswerError
from minios_master.detached import attach
from minios_master.embedded import EmbeddedMaster
from minios_master.live import LiveDisplay
from minios_master.matrix_run import Choices, MatrixRun, Outcome
from minios_master.projects import open_project
from minios_master.settings import Settings
from minios_master.state_lock import Run, StateLock
from minios_master.summary import outcome_lines, outcome_table, unreleased
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
    project = open_project(Settings(context.config, context.state))
    choices = Choices(tuple(version or ()), tuple(variant or ()), tuple(arch or ()), jobs, force)
    # Wrong names are found before anything is started.
    plan_matrix(project, versions=choices.versions, variants=choices.variants, arches=choices.arches)
    lock = StateLock(context.state)
    running = lock.holder()
    target = _target(project, out, running)
    # The table is progress, not data: with --json it goes where it cannot mix with the data.
    console = err_console() if as_json else out_console()
    if running is not None and running.kind == "up":
        _check_same(running, context, target)
        outcome = _follow(attach(lock, running), choices, console)
    else:
        outcome = _run(context, project, choices, target, console)
    code = exit_code(project, outcome)
    if as_json:
        print_json({**dataclasses.asdict(outcome), "out": str(target), "exit": code})
    else:
        _print_outcome(console, outcome, target)
    raise typer.Exit(code)


def _run(context: CliContext, project: Project, choices: Choices, target: Path, console: Console) -> Outcome:
    """Run on a master that lives as long as this run."""
    settings = Settings(context.config, context.state, target, lifeline=True)
    master = EmbeddedMaster(settings, project.minios.web)
    try:
        api = master.start("matrix")
        console.print(f"master at {api.url} (stops with this run)")
        api.cancel_leftovers()
        return _follow(api, choices, console)
    except NoAnswerError as error:
        raise master.explain(error) from error
    finally:
        master.stop()


def _target(project: Project, out: Path | None, running: Run | None) -> Path:
    """The layout to write: as asked, else where the running master writes, else as configured."""
    if out is None and running is not None and running.kind == "up" and running.out:
        return Path(running.out)
    return (out or Path(project.minios.destination.path)).resolve()


def _check_same(running: Run, context: CliContext, target: Path) -> None:
    """Refuse to build something else than was asked for."""
    if running.config != str(context.config):
        raise MiniosError(
            f"the running master builds what {running.config} says, not {context.config}",
            hint="run `minios down` first, or use another --state folder",
        )
    if running.out != str(target):
        raise MiniosError(
            f"the running master writes to {running.out}, not to {target}",
            hint="leave --out away, or run `minios down` first",
        )


def _follow(api: MasterApi, choices: Choices, console: Console) -> Outcome:
    with LiveDisplay(console) as display:
        return MatrixRun(api, display.show).run(choices)


def _print_outcome(console: Console, outcome: Outcome, target: Path) -> None:
    console.print(outcome_table(outcome))
    shown = os.path.relpath(target)
    for line in outcome_lines(outcome, shown if not shown.startswith("..") else str(target)):
        console.print(line, soft_wrap=True)
    console.print(f"{outcome.seconds:.0f} s in all")


def exit_code(project: Project, outcome: Outcome) -> int:
    """0 when every required cell that was asked for is good and nothing was blocked, else 1."""
    bad = [c for c in outcome.cells if c["outcome"] not in GOOD and project.role(c["arch"]) == "required"]
    nothing = all(cell["outcome"] not in GOOD for cell in outcome.cells)
    blocked = any(release["outcome"] in ("blocked", "failed") for release in outcome.releases)
    return 1 if bad or nothing or blocked or unreleased(outcome) else 0
