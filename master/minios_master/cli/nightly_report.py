"""`minios nightly report`: what the last nightly came to."""

from __future__ import annotations

import typer  # noqa: TC002  # Typer reads annotations at run time

from minios_master.printable import printable
from minios_master.settings import Settings
from minios_steps.core.nightly.files import ReportFiles
from minios_steps.core.nightly.report import NightlyReport
from minios_steps.core.nightly.text import report_lines

from .output import CliContext, out_console, print_json
from .stores import JsonOption


def report(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show the report of the last nightly: what changed, what was tested again, what failed since when."""
    context: CliContext = ctx.obj
    found = ReportFiles(Settings(context.config, context.state).nightly).read()
    if as_json:
        print_json(found.as_json())
    else:
        print_report(found)


def print_report(found: NightlyReport) -> None:
    """Print a report for people."""
    console = out_console()
    for line in report_lines(found):
        console.print(printable(line), soft_wrap=True)
