"""`minios drift`: how the kconfig of two releases differs, and what that does to the fragments."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.projects import open_project
from minios_master.settings import Settings
from minios_steps.core.cancel import never
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.upstream.drift import Drift, drift_between

from .output import FAILED, CliContext, err_console, out_console, print_json

if TYPE_CHECKING:
    from typing import Any


def drift(
    ctx: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The release the fragments fit.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The release they are to fit.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the kconfig of two releases; exit 1 when a fragment line does not apply any more."""
    context: CliContext = ctx.obj
    settings = Settings(context.config, context.state)
    project = open_project(settings)
    found = drift_between(
        project,
        project.version(old),
        project.version(new),
        cache=SourceCache(settings.cache / "sources"),
        report=err_console().print,
        cancelled=never,
    )
    if as_json:
        print_json(as_data(found))
    else:
        for line in found.lines:
            out_console().print(line, soft_wrap=True)
    raise typer.Exit(FAILED if any(found.stale.values()) else 0)


def as_data(found: Drift) -> dict[str, Any]:
    """A drift as JSON can say it."""
    return {
        "old": str(found.old),
        "new": str(found.new),
        "added": list(found.added),
        "gone": list(found.gone),
        "renamed": dict(found.renamed),
        "stale": {arch: [dataclasses.asdict(line) for line in lines] for arch, lines in found.stale.items()},
    }
