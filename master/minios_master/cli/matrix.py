"""`minios matrix`: build everything, show it live, sum it up."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.api import MasterApi
from minios_master.destination import Place, released_store
from minios_master.engine import local_engine
from minios_master.live import LiveDisplay
from minios_master.loading import Loaded, check_loadable, load_released
from minios_master.matrix_run import Choices, MatrixRun, Outcome
from minios_master.projects import open_project
from minios_master.settings import Settings
from minios_master.summary import outcome_lines, outcome_table, unreleased
from minios_steps.core.config.project import Project
from minios_steps.core.plan import plan_matrix
from minios_steps.core.policy import GOOD

from .folders import OutOption, PlainHttpOption, RegistryOption
from .masters import choose_master, own_master, using_master
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
BackendOption = Annotated[
    str,
    typer.Option("--backend", help="What makes the images: `oci` or `docker`; as configured without it."),
]


def matrix(
    ctx: typer.Context,
    arch: ArchOption = None,
    version: VersionOption = None,
    variant: VariantOption = None,
    out: OutOption = None,
    registry: RegistryOption = "",
    plain_http: PlainHttpOption = False,
    jobs: Annotated[int, typer.Option(min=0, help="make -j; 0: as configured.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Build even what was built before.")] = False,
    backend: BackendOption = "",
    load: Annotated[
        bool, typer.Option("--load", help="Put this machine's image into the local Docker engine, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Build the matrix and release one multi-arch image per version and variant."""
    context: CliContext = ctx.obj
    project = open_project(Settings(context.config, context.state))
    choices = Choices(tuple(version or ()), tuple(variant or ()), tuple(arch or ()), jobs, force, backend)
    # Wrong names are found before anything is started.
    plan = plan_matrix(project, versions=choices.versions, variants=choices.variants, arches=choices.arches)
    if load:
        with local_engine() as engine:
            check_loadable(engine, project, dict.fromkeys(cell.arch for cell in plan.cells))
    asked = Settings(
        context.config, context.state, out and out.resolve(), registry, plain_http, lifeline=True
    )
    chosen = choose_master(project, asked)
    place = chosen.place
    project.check_backend(plan.arches, backend, registry=place.registry is not None)
    # The table is progress, not data: with --json it goes where it cannot mix with the data.
    console = err_console() if as_json else out_console()
    with using_master(chosen, project, console) as api:
        outcome = _follow(api, choices, console)
    code = exit_code(project, outcome)
    told = {**dataclasses.asdict(outcome), "out": place.target, "exit": code}
    if not as_json:
        _print_outcome(console, outcome, place)
    try:
        if load:
            told["loaded"] = [one.as_json() for one in _load(project, asked, place, outcome, console)]
    finally:
        # What was built is told whatever becomes of the engine.
        if as_json:
            print_json(told)
    raise typer.Exit(code)


def _load(
    project: Project, settings: Settings, place: Place, outcome: Outcome, console: Console
) -> list[Loaded]:
    """Put what was released into the engine, and say how to run it."""
    loaded = []
    with local_engine() as engine, released_store(place, project, settings) as store:
        for one in load_released(engine, store, project.minios.image.name, outcome.releases):
            loaded.append(one)
            console.print(f"{one.platform} is in the Docker engine as {', '.join(one.names)}", soft_wrap=True)
            console.print(f"run it: {one.run}", soft_wrap=True)
    return loaded


def run_embedded(settings: Settings, project: Project, choices: Choices, console: Console) -> Outcome:
    """Run on a master that lives as long as this run."""
    with own_master(settings, project, console) as api:
        return _follow(api, choices, console)


def _follow(api: MasterApi, choices: Choices, console: Console) -> Outcome:
    with LiveDisplay(console) as display:
        return MatrixRun(api, display.show).run(choices)


def _print_outcome(console: Console, outcome: Outcome, place: Place) -> None:
    console.print(outcome_table(outcome))
    for line in outcome_lines(outcome, place.name):
        console.print(line, soft_wrap=True)
    console.print(f"{outcome.seconds:.0f} s in all")


def exit_code(project: Project, outcome: Outcome) -> int:
    """0 when every required cell that was asked for is good and nothing was blocked, else 1."""
    bad = [c for c in outcome.cells if c["outcome"] not in GOOD and project.role(c["arch"]) == "required"]
    nothing = all(cell["outcome"] not in GOOD for cell in outcome.cells)
    blocked = any(release["outcome"] in ("blocked", "failed") for release in outcome.releases)
    return 1 if bad or nothing or blocked or unreleased(outcome) else 0
