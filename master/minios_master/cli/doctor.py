"""`minios doctor`: what this machine can build, what is missing, and how to install it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_master.engine import engine_version
from minios_master.machine import install, install_line, survey
from minios_master.settings import Settings
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import MiniosError

from .output import FAILED, CliContext, out_console, print_json, table

if TYPE_CHECKING:
    from minios_master.machine import Survey


def doctor(
    ctx: typer.Context,
    install_missing: Annotated[
        bool, typer.Option("--install", help="Install what is missing (as root, with apt-get).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine can build and what is missing; exit 1 when a required arch cannot be built."""
    context: CliContext = ctx.obj
    project = load_project(context.config)
    cache = Settings(context.config, context.state).cache
    found = survey(project, cache)
    if install_missing and found.packages:
        if os.geteuid() != 0:
            raise MiniosError("only root can install packages", hint=install_line(found.packages))
        install(found.packages)
        found = survey(project, cache)
    engine = engine_version()
    if as_json:
        print_json(as_data(found, engine))
    else:
        _show(found, engine)
    raise typer.Exit(0 if found.good else FAILED)


def as_data(found: Survey, engine: str) -> dict[str, Any]:
    """A survey as JSON data: the machine, its arches, what is missing, and the line that installs it."""
    return {
        "uname": found.uname,
        "good": found.good,
        "arches": [{**asdict(arch), "builds": arch.builds} for arch in found.arches],
        "missing_tools": list(found.missing_tools),
        "docker_engine": engine,
        "install": install_line(found.packages),
    }


def _show(found: Survey, engine: str) -> None:
    console = out_console()
    rows = [
        (
            *(arch.name, arch.role, arch.how),
            *(arch.compiler or "-", arch.libc, arch.emulator or "-", arch.note or "-"),
        )
        for arch in found.arches
    ]
    console.print(table(("arch", "role", "built", "compiler", "libc", "emulator", "missing"), rows))
    tools = ", ".join(found.missing_tools)
    lines = [
        f"tools missing: {tools}" if tools else "tools: all here",
        f"Docker engine: {engine}" if engine else "Docker engine: none (only the backend docker needs one)",
    ]
    if line := install_line(found.packages):
        lines += ["", "To install what is missing:", f"  {line}"]
    elif found.packages:
        lines += ["", f"missing, by Debian's names: {' '.join(found.packages)}"]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
