"""`minios check`: read the whole configuration and say what it amounts to, or what is wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError
from minios_steps.core.plan import plan_matrix

from .output import WRONG, CliContext, out_console, print_json, show_error, table

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project


def check(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Validate the configuration; exit 2 with every problem when it is wrong."""
    context: CliContext = ctx.obj
    try:
        project = load_project(context.config)
        cells = plan_matrix(project).cells
    except ConfigError as error:
        problems = error.details.splitlines() or [error.what]
        if as_json:
            print_json({"good": False, "problems": problems})
        elif len(problems) == 1:
            show_error(error)
        else:
            sys.stderr.writelines(f"minios: {problem}\n" for problem in problems)
        raise typer.Exit(WRONG) from error
    if as_json:
        arches = {name: project.role(name) for name in project.arches}
        versions = [str(version) for version in project.pinned]
        print_json(
            {"good": True, "arches": arches, "pinned": versions, "cells": [str(cell) for cell in cells]}
        )
        return
    _show(context, project, len(cells))


def _show(context: CliContext, project: Project, cells: int) -> None:
    rows = []
    for name, arch in project.arches.items():
        machines = " or ".join(str(code) for code in arch.elf.machines)
        elf = f"ELF{arch.elf.bits} {arch.elf.data}, machine {machines}"
        variants = ", ".join(arch.variants)
        rows.append((name, project.role(name), str(arch.platform.platform), elf, variants))
    console = out_console()
    console.print(table(("arch", "role", "platform", "programs", "variants"), rows))
    pinned = ", ".join(str(version) for version in project.pinned)
    counted = f"{cells} cell{'s' * (cells != 1)} by default"
    line = f"{context.config} is good: {len(rows)} arches, BusyBox {pinned}, {counted}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
