"""`minios release approve`: a candidate that is good becomes a release."""

from __future__ import annotations

from typing import Annotated

import typer

from minios_master.settings import Settings
from minios_master.user import who_asks
from minios_steps.core.upstream.discoveries import Discoveries

from .matrix import matrix
from .output import CliContext


def approve(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The candidate, such as 1.39.0.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Release a discovered version whose candidate was good on every required arch.

    Its images are verified again and written under the release's tags; nothing is compiled that
    was compiled for the candidate.
    """
    context: CliContext = ctx.obj
    settings = Settings(context.config, context.state)
    Discoveries(settings.discoveries).approve(version, who_asks())
    matrix(ctx, version=[version], as_json=as_json)
