"""`minios nightly run`: a nightly now."""

from __future__ import annotations

import typer

from minios_master.live import LiveDisplay
from minios_master.matrix_run import MatrixRun
from minios_master.projects import open_project
from minios_master.settings import Settings
from minios_master.user import who_asks
from minios_steps.core.errors import MiniosError
from minios_steps.core.nightly.report import NightlyReport

from .folders import OutOption, PlainHttpOption, RegistryOption
from .masters import choose_master, using_master
from .nightly_report import print_report
from .output import FAILED, CliContext, err_console, out_console, print_json
from .stores import JsonOption


def run_now(
    ctx: typer.Context,
    out: OutOption = None,
    registry: RegistryOption = "",
    plain_http: PlainHttpOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a nightly now and wait for its report; exit 1 when something failed.

    What changed is built and released as the policy says; of what did not change, the released images
    are fetched, verified and tested again.
    """
    context: CliContext = ctx.obj
    asked = Settings(
        context.config, context.state, out and out.resolve(), registry, plain_http, lifeline=True
    )
    project = open_project(asked)
    console = err_console() if as_json else out_console()
    with (
        using_master(choose_master(project, asked), project, console) as api,
        LiveDisplay(console) as display,
    ):
        if api.is_busy("nightly"):
            raise MiniosError(
                "a nightly runs already", hint=f"its builder is in the web interface: {api.url}"
            )
        told = MatrixRun(api, display.show).run_queued(
            lambda: api.force_nightly(f"minios nightly run, by {who_asks()}")
        )
    if "nightly_report" not in told:
        raise MiniosError(str(told.get("problem") or "the nightly ended without a report"))
    found = NightlyReport.from_json(told["nightly_report"])
    if as_json:
        print_json(found.as_json())
    else:
        print_report(found)
    raise typer.Exit(FAILED if found.verdict == "failed" else 0)
