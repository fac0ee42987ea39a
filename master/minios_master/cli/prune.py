"""`minios prune`: forget the images that nothing used for long."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from minios_master.settings import Settings
from minios_steps.core.candidates import CandidateStore

from .output import CliContext, out_console, print_json

DAYS = 90
_DAY_SECONDS = 24 * 3600


def prune(
    ctx: typer.Context,
    days: Annotated[int, typer.Option(min=1, help="How long an image stays that no build used.")] = DAYS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove images from the state folder that were neither built nor reused for long; a master may run.

    What was released stays where it was released to.
    """
    context: CliContext = ctx.obj
    store = CandidateStore(Settings(context.config, context.state).store)
    before = store.used_since(0)
    since = time.time() - days * _DAY_SECONDS
    blobs = store.prune((), since=since)
    left = store.used_since(0)
    gone = len(before - left)
    if as_json:
        print_json({"removed": gone, "kept": len(left), "blobs": blobs})
        return
    out_console().print(
        f"{gone} of {len(before)} images were not used for {days} days and are removed, {blobs} files",
        soft_wrap=True,
    )
