"""`minios worker bundle`: the one file that a bare machine needs to become a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minios_master.bundle.fetch import fetch_wheels
from minios_master.bundle.lock import choose_lock, dotted
from minios_master.bundle.pack import write_bundle
from minios_master.resources import resource
from minios_master.settings import Settings
from minios_steps.core.config.load import load_project

from .output import CliContext, out_console, print_json


def bundle(
    ctx: typer.Context,
    python: Annotated[str, typer.Option(help="The machine's version of Python: 3.7 or newer.")] = "3.7",
    arch: Annotated[str, typer.Option(help="Refuse machines of another arch.", show_default=False)] = "",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; else minios-worker-….run here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a self-extracting worker for machines without a network: pure Python, nothing compiled."""
    context: CliContext = ctx.obj
    names: tuple[str, ...] = ()
    if arch:
        names = load_project(context.config).arch(arch).uname
    recipe = resource("workers")
    lock = choose_lock(recipe / "bundle", python)
    wheels = fetch_wheels(lock, Settings(context.config, context.state).cache / "wheels")
    name = "-".join(filter(None, ("minios-worker", arch, f"python{dotted(lock.oldest)}")))
    dest = (out or Path(f"{name}.run")).resolve()
    digest = write_bundle(lock, wheels, recipe, dest, names)
    size = dest.stat().st_size
    if as_json:
        told = {"path": str(dest), "size": size, "payload": str(digest)}
        ranged = {"oldest": dotted(lock.oldest), "below": dotted(lock.below)}
        packages = {pin.name: pin.version for pin in lock.pins.values()}
        print_json({**told, "python": ranged, "packages": packages, "stand_ins": list(lock.stand_ins)})
        return
    versions = f"Python {dotted(lock.oldest)} to below {dotted(lock.below)}"
    out_console().print(f"{dest}: {size / 1e6:.1f} MB, for {versions}", soft_wrap=True)
    out_console().print(f"on the machine: sh {dest.name} --invite TOKEN", soft_wrap=True)
