"""Machines as a probe tells of them, and records of probes, for the tests of what follows from these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minios_steps.core.machine_probe.facts import Machine, ProbeRecord, Program

if TYPE_CHECKING:
    from minios_master.remote.folders import RemoteFolder

STATIC: dict[str, Any] = {"bits": 64, "data": "little", "machine": 62, "alignment": 4096, "exit": "0"}
DYNAMIC: dict[str, Any] = {**STATIC, "interpreter": "/lib64/ld-linux-x86-64.so.2", "needed": ["libc.so.6"]}
TOOLS = ("make", "tar", "gzip", "bzip2", "gcc")
PROBED = "2026-01-02T03:04:05+00:00"


def program(**changes: Any) -> Program:
    """A program for x86_64, with some fields replaced; a dynamic one with `interpreter`."""
    return Program.model_validate({**STATIC, **changes})


def machine(**changes: Any) -> Machine:
    """A native x86_64 machine with glibc, with some fields replaced."""
    told: dict[str, Any] = {
        "uname_a": "Linux vendor 6.1.0 x86_64 GNU/Linux",
        "uname": "x86_64",
        "cpu": ("model name : a CPU",),
        "page_size": 4096,
        "byte_order": "little",
        "cores": 2,
        "disk_free": 50_000_000_000,
        "compiler": "gcc",
        "compiler_path": "/usr/bin/gcc",
        "compiler_version": "gcc 12.2.0",
        "target": "x86_64-linux-gnu",
        "libc": "glibc 2.36",
        "linker": "GNU ld 2.40",
        "strip": "strip",
        "make": "4.3",
        "tools": TOOLS,
        "static": STATIC,
        "dynamic": DYNAMIC,
    }
    return Machine.model_validate({**told, **changes})


def foreign(machine_number: int, *, uname: str, data: str = "little", **changes: Any) -> Machine:
    """A native machine of another CPU; the loader is made up."""
    elf = {"machine": machine_number, "data": data}
    told: dict[str, Any] = {
        "uname": uname,
        "byte_order": data,
        "target": f"{uname}-linux-gnu",
        "static": {**STATIC, **elf},
        "dynamic": {**DYNAMIC, **elf, "interpreter": f"/lib/ld-{uname}.so.1"},
    }
    return machine(**{**told, **changes})


def keep_probe(folder: RemoteFolder, worker: str, found: Machine | None = None) -> ProbeRecord:
    """Keep a record for a worker on the roster, as its probe would."""
    member = folder.roster.find(worker)
    made = ProbeRecord(
        worker=worker, arch=member.arch, attached=member.attached, probed=PROBED, machine=found or machine()
    )
    folder.probes.write(made)
    return made
