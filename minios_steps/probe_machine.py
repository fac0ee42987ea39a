"""`ProbeMachine`: what a new worker's machine is, before any cell is given to it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from buildbot.process.results import FAILURE, SUCCESS

from minios_steps.core.errors import MiniosError
from minios_steps.core.machine_probe.facts import (
    ProbeRecord,
    Program,
    describe,
    exit_of,
    problem_of,
    read_links,
    read_program,
)
from minios_steps.core.machine_probe.judge import judge, table_text
from minios_steps.core.machine_probe.script import DYNAMIC, STATIC, emulators_of, links_command
from minios_steps.core.machine_probe.store import ProbeStore
from minios_steps.core.toolchain import compiler_probe_command, probe_command, read_probe
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.machine_probe.facts import Machine
    from minios_steps.core.toolchain import Toolchain

PROGRAM_LIMIT = 32 << 20
"""Bytes that a linked program of two lines may have."""
NO_ARCH_FILE = "no arch file"


class ProbeMachine(MiniosStep):
    """Measure a worker's machine, keep what was found, and hold it against the arch's file.

    The two programs that the machine links are read on the master, from their bytes.

    Args:
        arch_name: the arch that the worker was invited for.
        arch: its file; None while there is none: then the machine is measured only.
        cross_prefix: of the compiler to ask while there is no file; empty for `gcc`, else `cc`.
        attached: when the worker exchanged its invite, ISO time.
        records: the folder that the record goes into.
        work_root: the master's folder for the build's files.

    Sets the property `verdict`: `passed`, `refused` or `no arch file`.
    """

    name = "machine"
    default_workdir = "."

    def __init__(
        self,
        *,
        arch_name: str,
        arch: Arch | None,
        cross_prefix: str,
        attached: str,
        records: Path,
        work_root: Path,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arch_name = arch_name
        self.arch = arch
        self.cross_prefix = cross_prefix
        self.attached = attached
        self.records = records
        self.work_root = work_root

    async def work(self) -> int:
        """Ask, fetch the programs, keep the record, judge."""
        machine = await self._measure()
        record = ProbeRecord(
            worker=self.getProperty("workername"),
            arch=self.arch_name,
            attached=self.attached,
            probed=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            machine=machine,
        )
        await self.in_thread(ProbeStore(self.records).write, record)
        await self.addCompleteLog("machine", record.model_dump_json(indent=1) + "\n")
        return await self._judge(machine)

    async def _measure(self) -> Machine:
        toolchain = await self._ask_compiler()
        emulator = "" if self._is_native(toolchain) else toolchain.emulator
        command = links_command(toolchain.cc if toolchain.cc_path else "", emulator)
        output = await self.command(list(command), collect=True, timeout=120, max_time=600, max_lines=2000)
        if output.code:
            raise MiniosError(f"the machine's probe failed on the worker: {output.last_line}")
        said = read_links(output.stdout)
        programs = [await self._fetch(name, said) for name in (STATIC, DYNAMIC)]
        return describe(toolchain, said, *programs)

    async def _ask_compiler(self) -> Toolchain:
        """What there is of the compiler that builds would use, or of the first that is there."""
        first, *others = self._compilers()
        found = await self._ask(first)
        for command in others:
            if not found.cc_path:
                found = await self._ask(command)
        return found

    async def _ask(self, command: tuple[str, ...]) -> Toolchain:
        output = await self.command(command, collect=True, timeout=60, max_lines=2000)
        if output.code:
            raise MiniosError(f"the probe failed on the worker: {output.last_line}")
        return read_probe(output.stdout)

    def _compilers(self) -> list[tuple[str, ...]]:
        if self.arch is not None:
            return [probe_command(self.arch)]
        if self.cross_prefix:
            return [compiler_probe_command(f"{self.cross_prefix}gcc", emulators_of(self.cross_prefix))]
        return [compiler_probe_command(name) for name in ("gcc", "cc")]

    def _is_native(self, toolchain: Toolchain) -> bool:
        return not self.cross_prefix if self.arch is None else toolchain.uname in self.arch.uname

    async def _fetch(self, name: str, said: dict[str, list[str]]) -> Program:
        if problem := problem_of(said, name):
            return Program(problem=problem)
        path = self.scratch(self.work_root) / name
        await self.upload_file(name, path, limit=PROGRAM_LIMIT)
        try:
            return await self.in_thread(read_program, path, name, exit_of(said, name))
        finally:
            path.unlink()

    async def _judge(self, machine: Machine) -> int:
        told = ", ".join(filter(None, (machine.uname, machine.compiler_version, machine.target)))
        if self.arch is None:
            self.setProperty("verdict", NO_ARCH_FILE, self.name)
            self.summary = f"{told}; there is no arches/{self.arch_name}.yaml yet"
            return int(SUCCESS)
        mismatches = judge(machine, self.arch)
        if not mismatches:
            self.setProperty("verdict", "passed", self.name)
            self.summary = f"fits arches/{self.arch_name}.yaml: {told}"
            return int(SUCCESS)
        self.setProperty("verdict", "refused", self.name)
        await self.addCompleteLog("refused", table_text(mismatches))
        first = mismatches[0]
        more = f", and {len(mismatches) - 1} more" if len(mismatches) > 1 else ""
        self.summary = (
            f"refused, it is no {self.arch_name}: {first.what}: expected {first.expected},"
            f" found {first.found}{more}"
        )
        return int(FAILURE)
