"""What a probe found out about a machine, and the record of it that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from minios_steps.core.config.base import Model
from minios_steps.core.elf import ET_DYN, ET_EXEC, read_elf
from minios_steps.core.errors import MiniosError
from minios_steps.core.machine_probe.script import MARK
from minios_steps.core.toolchain import read_answers

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.toolchain import Toolchain

_CPU_LINES = 12
_MAX_TEXT = 300
_NEEDED_NAMES = 32


class Program(Model):
    """A program that the machine's compiler made, as its bytes say.

    `problem` says why there is none, or none that can be read; the other fields are empty then.
    `exit` is what the machine says of running it: an exit code, or empty when it did not try.
    """

    problem: str = ""
    bits: int = 0
    data: str = ""
    machine: int = 0
    flags: int = 0
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    alignment: int = 0
    exit: str = ""


class Machine(Model):
    """A machine. All but its two programs is what it says of itself.

    `page_size` and `disk_free` are bytes, 0 when not known; `compiler` is the command that was
    looked for, `compiler_path` empty when it is not there; `tools` are those that builds need and
    that are there; `engine` is the version of a Docker engine that answers.
    """

    uname_a: str = ""
    uname: str
    cpu: tuple[str, ...] = ()
    page_size: int = 0
    byte_order: Literal["", "little", "big"] = ""
    cores: int = 1
    disk_free: int = 0
    compiler: str = ""
    compiler_path: str = ""
    compiler_version: str = ""
    target: str = ""
    libc: str = ""
    linker: str = ""
    strip: str = ""
    emulator: str = ""
    make: str = ""
    tar: str = ""
    gzip: str = ""
    bzip2: str = ""
    python: str = ""
    tools: tuple[str, ...] = ()
    engine: str = ""
    static: Program
    dynamic: Program


class ProbeRecord(Model):
    """A probe of a worker's machine.

    Args:
        worker: its name.
        arch: the arch it was invited for.
        attached: when it exchanged its invite, ISO time: another machine may come by the same name.
        probed: when, ISO time.
        machine: what was found.
    """

    worker: str
    arch: str
    attached: str
    probed: str
    machine: Machine


def read_links(text: str) -> dict[str, list[str]]:
    """What the script of `script` said, by key.

    Raises:
        MiniosError: this is not its output.
    """
    found = read_answers(text)
    if MARK not in found:
        raise MiniosError("the machine's probe did not answer", hint="see the step's log on the worker")
    return found


def describe(toolchain: Toolchain, said: dict[str, list[str]], static: Program, dynamic: Program) -> Machine:
    """One value from the two probes' answers and the two programs."""
    order = _line(said, "byte_order")
    version = _line(said, "full_version")
    name = toolchain.compiler.partition(" ")[0]
    return Machine(
        uname_a=_line(said, "uname_a"),
        uname=toolchain.uname,
        cpu=tuple(line[:_MAX_TEXT] for line in said.get("cpu", ())[:_CPU_LINES]),
        page_size=toolchain.page_size,
        byte_order=order if order in ("little", "big") else "",  # type: ignore[arg-type]
        cores=toolchain.cores,
        disk_free=toolchain.disk_free,
        compiler=toolchain.cc,
        compiler_path=toolchain.cc_path,
        compiler_version=f"{name} {version}" if version else toolchain.compiler if toolchain.cc_path else "",
        target=toolchain.target,
        libc=toolchain.libc,
        linker=toolchain.linker,
        strip=_line(said, "strip"),
        emulator=toolchain.emulator,
        make=toolchain.make,
        tar=_line(said, "tar_version"),
        gzip=_line(said, "gzip_version"),
        bzip2=_line(said, "bzip2_version"),
        python=_line(said, "python3_version"),
        tools=toolchain.tools,
        engine=toolchain.engine,
        static=static,
        dynamic=dynamic,
    )


def read_program(path: Path, name: str, exit_code: str) -> Program:
    """What an uploaded program's bytes say; what is wrong with them is its `problem`."""
    try:
        info = read_elf(path, name)
    except MiniosError as error:
        return Program(problem=str(error))
    if info.type not in (ET_EXEC, ET_DYN):
        return Program(problem=f"{name}: not a program, but an ELF file of type {info.type}")
    return Program(
        bits=info.bits,
        data=info.data,
        machine=info.machine,
        flags=info.flags,
        interpreter=_shown(info.interpreter),
        needed=tuple(_shown(name) for name in info.needed[:_NEEDED_NAMES]),
        alignment=info.alignment,
        exit=exit_code,
    )


def exit_of(said: dict[str, list[str]], name: str) -> str:
    """The exit code that the machine told of a program; empty when it did not run it."""
    code = _line(said, f"{name}-exit")
    # 125 is the script's own: there is no `timeout`, and nothing runs without a limit.
    return code if code.isdigit() and code != "125" else ""


def problem_of(said: dict[str, list[str]], name: str) -> str:
    """Why a program could not be linked; empty when the machine says that it was."""
    if _line(said, name) == "linked" and not _line(said, f"{name}-problem"):
        return ""
    return _line(said, f"{name}-problem") or "it was not linked, and the machine does not say why"


def _shown(text: str) -> str:
    """A text out of a file that anybody may have made, fit to be shown."""
    return "".join(c if c.isprintable() else "?" for c in text[:_MAX_TEXT])


def _line(said: dict[str, list[str]], key: str) -> str:
    return said[key][-1][:_MAX_TEXT] if said.get(key) else ""
