"""`minios worker list` and `show`: who was invited, is connected or paused, and what their machines are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_master.printable import printable
from minios_master.remote.folders import RemoteFolder
from minios_master.settings import Settings
from minios_steps.core.elf import machine_name
from minios_steps.core.machine_probe.judge import HEADING

from .output import CliContext, err_console, out_console, print_json, table
from .worker_told import told_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from minios_steps.core.machine_probe.facts import Machine, ProbeRecord, Program
    from minios_steps.core.machine_probe.judge import Mismatch

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_COLUMNS = ("name", "arch", "state", "connected", "probe", "make -j", "machine")


def list_workers(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the workers of other machines."""
    context: CliContext = ctx.obj
    told = [worker for worker, _ in told_workers(context)]
    for problem in RemoteFolder(Settings(context.config, context.state).remote).roster.problems():
        err_console().print(printable(problem), soft_wrap=True)
    if as_json:
        print_json(told)
        return
    if not told:
        out_console().print("no remote workers; invite one with: minios worker invite ARCH")
        return
    out_console().print(table(_COLUMNS, [_row(member) for member in told]))
    if told[0]["connected"] is None:
        out_console().print("no master runs here, so nobody is connected; start it with: minios up")


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The worker.")],
    as_json: JsonOption = False,
) -> None:
    """Show one worker: when it was invited and attached, what its machine is, what it does now."""
    context: CliContext = ctx.obj
    [(told, standing)] = told_workers(context, name)
    if as_json:
        mismatches = [dataclasses.asdict(one) for one in standing.mismatches]
        record = standing.record.model_dump(mode="json") if standing.record else None
        print_json({**told, "mismatches": mismatches, "record": record})
        return
    machine = told.pop("machine")
    told["jobs"] = _jobs(told["jobs"], machine)
    for key, value in (*told.items(), *machine.items()):
        _say(key, value)
    if standing.record:
        show_record(standing.record)
    show_mismatches(told["arch"], standing.mismatches)


def show_record(record: ProbeRecord) -> None:
    """Print what a probe found."""
    out_console().print(f"\nprobed {record.probed}:", soft_wrap=True)
    for key, value in _facts(record.machine):
        _say(key, value)


def show_mismatches(arch: str, mismatches: Sequence[Mismatch]) -> None:
    """Print why a machine is refused, as a table; nothing when it is not."""
    if mismatches:
        rows = [tuple(printable(text) for text in dataclasses.astuple(one)) for one in mismatches]
        out_console().print(table(HEADING, rows, title=f"it does not fit arches/{arch}.yaml:"))


def _facts(machine: Machine) -> Iterator[tuple[str, Any]]:
    plain = machine.model_dump(exclude={"static", "dynamic", "cpu", "tools"})
    yield from plain.items()
    yield "cpu", "; ".join(machine.cpu[:3])
    yield "tools", " ".join(machine.tools)
    yield "static program", _program(machine.static)
    yield "dynamic program", _program(machine.dynamic)


def _program(program: Program) -> str:
    if program.problem:
        return f"none: {program.problem}"
    parts = (
        f"ELF{program.bits} {program.data}-endian, machine {machine_name(program.machine)}",
        f"flags {program.flags:#x}",
        f"loader {program.interpreter}" if program.interpreter else "",
        "it ran" if program.exit == "0" else f"it ended with {program.exit}" if program.exit else "",
    )
    return ", ".join(filter(None, parts))


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    why = f": {told['pause_reason']}" if told["pause_reason"] else ""
    state = f"{told['state']}, paused{why}" if told["paused"] else told["state"]
    python = told["machine"].get("python")
    machine = ", ".join(filter(None, (told["machine"].get("uname"), python and f"Python {python}")))
    return (
        told["name"],
        told["arch"],
        printable(state),
        _text(told["connected"]),
        told["probe"],
        printable(_jobs(told["jobs"], told["machine"])),
        printable(machine) or "-",
    )


def _jobs(jobs: int, machine: Mapping[str, str]) -> str:
    """How many jobs `make` has there: as the invite says, else as many as the machine said it has cores."""
    cores = machine.get("cores")
    return str(jobs or (f"{cores} (its cores)" if cores else "its cores"))


def _say(key: str, value: Any) -> None:
    out_console().print(printable(f"{key}: {_text(value)}"), soft_wrap=True)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)
