"""`minios plan`: every cell, its key, and what would happen to it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_master.local_probe import probe_local
from minios_master.machine import local_arches
from minios_master.projects import open_project
from minios_master.remote.folders import RemoteFolder
from minios_master.remote.standing import standing_of
from minios_master.settings import Settings
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.project import Project
from minios_steps.core.errors import MiniosError
from minios_steps.core.plan import Cell, cell_inputs, plan_matrix

from .matrix import ArchOption, BackendOption, VariantOption, VersionOption
from .output import CliContext, out_console, print_json, table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from minios_steps.core.toolchain import Toolchain


_REMOTE = "while a master is up, which finds out then whether it was built before"


def plan(
    ctx: typer.Context,
    arch: ArchOption = None,
    version: VersionOption = None,
    variant: VariantOption = None,
    backend: BackendOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what `minios matrix` would do, and build nothing."""
    context: CliContext = ctx.obj
    settings = Settings(context.config, context.state)
    project = open_project(settings)
    chosen = plan_matrix(project, versions=version or (), variants=variant or (), arches=arch or ())
    store = CandidateStore(settings.store)
    toolchains = _probe(project, {cell.arch for cell in chosen.cells}, settings.cache)
    rows = [plan_cell(project, store, cell, toolchains.get(cell.arch), backend) for cell in chosen.cells]
    remote = _remote_workers(project, settings)
    for row in rows:
        if row["action"] == "no-worker" and (names := remote.get(row["arch"])):
            row.update(action="remote", why=f"{' and '.join(names)} compiles for it {_REMOTE}")
    candidates = () if arch else tuple(n for n in project.nightly_arches if project.role(n) == "candidate")
    if as_json:
        print_json({"cells": rows, "unnamed_candidates": candidates})
        return
    columns = ("arch", "version", "variant", "role", "action", "key")
    shown = [
        (r["arch"], r["version"], r["variant"], r["role"], r["action"], r["key"].removeprefix("sha256:")[:12])
        for r in rows
    ]
    out_console().print(table(columns, shown))
    for row in rows:
        out_console().print(
            f"{row['arch']} {row['version']} {row['variant']}: {row['action']}: {row['why']}",
            soft_wrap=True,
        )
    for name in candidates:
        out_console().print(
            f"{name}: a candidate, which `minios matrix` leaves alone; `--arch {name}` builds it, and each"
            " nightly does",
            soft_wrap=True,
        )


def _remote_workers(project: Project, settings: Settings) -> dict[str, list[str]]:
    """The workers of other machines that may be given cells, by arch."""
    folder = RemoteFolder(settings.remote)
    found: dict[str, list[str]] = {}
    for member in folder.roster.members():
        if member.may_work and standing_of(member, project, folder).verdict == "passed":
            found.setdefault(member.arch, []).append(member.name)
    return found


def _probe(project: Project, arches: Iterable[str], cache: Path) -> dict[str, Toolchain | MiniosError]:
    """The compiler of each arch that this machine is to compile for, or why there is none."""
    local = local_arches(project)
    found: dict[str, Toolchain | MiniosError] = {}
    for name in arches:
        if name in local:
            try:
                found[name] = probe_local(project.arches[name], cache)
            except MiniosError as error:
                found[name] = error
    return found


def plan_cell(
    project: Project,
    store: CandidateStore,
    cell: Cell,
    toolchain: Toolchain | MiniosError | None,
    backend: str = "",
) -> dict[str, Any]:
    """One cell as data; `action` is `build`, `reuse`, `no-worker`, or `fail` where the probe does.

    It is about this machine and knows no other.
    """
    told: dict[str, Any] = {
        "arch": cell.arch,
        "version": str(cell.version),
        "variant": cell.variant,
        "role": project.role(cell.arch),
        "key": "",
    }
    if toolchain is None:
        attach = project.arches[cell.arch].attach
        why = "this machine cannot compile for it" + (f"; {attach}" if attach else "")
        return {**told, "action": "no-worker", "why": why}
    if isinstance(toolchain, MiniosError):
        return {**told, "action": "fail", "why": str(toolchain)}
    inputs = cell_inputs(project, cell, identity=toolchain.identity, prefix=toolchain.prefix, backend=backend)
    told["key"] = str(inputs.key)
    found = store.find(inputs.key, lambda _damage: None)
    if found is not None:
        return {**told, "action": "reuse", "why": f"built {found.built} as {found.descriptor.digest.short}"}
    return {**told, "action": "build", "why": store.explain(inputs)}
