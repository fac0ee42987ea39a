"""What the probe's script says, what a real compiler makes of it, and the records that are kept."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from probebed import machine
from tinyelf import make_elf

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
from minios_steps.core.machine_probe.script import DYNAMIC, STATIC, emulators_of, links_command
from minios_steps.core.machine_probe.store import ProbeStore
from minios_steps.core.toolchain import Toolchain, ToolchainError, compiler_probe_command, read_probe

if TYPE_CHECKING:
    from pathlib import Path


def run(command: tuple[str, ...], folder: Path, path: str = "") -> str:
    environment = {**os.environ, "PATH": path} if path else None
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_this_machine(tmp_path: Path) -> None:
    toolchain = read_probe(run(compiler_probe_command("gcc"), tmp_path))
    said = read_links(run(tuple(links_command("gcc")), tmp_path))
    programs = [read_program(tmp_path / name, name, exit_of(said, name)) for name in (STATIC, DYNAMIC)]
    assert [problem_of(said, name) for name in (STATIC, DYNAMIC)] == ["", ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((STATIC, DYNAMIC))
    found = describe(toolchain, said, *programs)
    assert (found.uname, found.compiler, found.strip) == (os.uname().machine, "gcc", "strip")
    assert found.uname_a.startswith("Linux ")
    assert found.page_size == os.sysconf("SC_PAGESIZE")
    assert found.compiler_version.startswith("gcc ")
    assert found.byte_order == found.static.data == found.dynamic.data
    assert (found.static.exit, found.dynamic.exit) == ("0", "0")
    assert found.dynamic.interpreter.startswith("/lib")
    assert found.static.interpreter == ""
    assert found.static.alignment >= 4096
    assert all((found.tar, found.gzip, found.bzip2, found.cpu))


def test_no_compiler(tmp_path: Path) -> None:
    found = read_probe(run(compiler_probe_command("no-such-gcc"), tmp_path))
    assert (found.cc, found.cc_path) == ("no-such-gcc", "")
    said = read_links(run(tuple(links_command("")), tmp_path))
    assert problem_of(said, STATIC) == "it was not linked, and the machine does not say why"
    assert list(tmp_path.iterdir()) == []


def fake(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)


def test_compiler_that_cannot_link(tmp_path: Path) -> None:
    tools, room = tmp_path / "tools", tmp_path / "room"
    for folder in (tools, room):
        folder.mkdir()
    fake(tools, "x-gcc", 'case $* in *-static*) echo "x-ld: cannot find -lc" >&2; exit 1;; esac\n: >"$2"')
    fake(tools, "x-strip", 'echo "x-strip: what is this" >&2; exit 1')
    said = read_links(run(tuple(links_command("x-gcc")), room, f"{tools}:{os.environ['PATH']}"))
    assert problem_of(said, STATIC) == "x-ld: cannot find -lc"
    assert problem_of(said, DYNAMIC) == "x-strip: what is this"
    assert exit_of(said, STATIC) == ""
    assert sorted(path.name for path in room.iterdir()) == [DYNAMIC]


def test_emulator_runs_the_static_program_alone(tmp_path: Path) -> None:
    emulator = tmp_path / "emulator"
    fake(tmp_path, "emulator", "echo something else")
    said = read_links(run(tuple(links_command("gcc", str(emulator))), tmp_path))
    assert (exit_of(said, STATIC), exit_of(said, DYNAMIC)) == ("1", "")
    assert emulators_of("/opt/x/alpha-linux-gnu-") == ("qemu-alpha-static", "qemu-alpha")


def test_other_output() -> None:
    with pytest.raises(MiniosError, match="the machine's probe did not answer"):
        read_links("hello\n")
    with pytest.raises(ToolchainError, match="the toolchain probe did not answer"):
        read_probe("hello\n")


def test_what_a_machine_says_is_cut_to_size() -> None:
    said = read_links(
        "minios-machine\t1\n" + "cpu\tx\n" * 40 + f"uname_a\t{'u' * 5000}\nbyte_order\tmiddle\n"
    )
    found = describe(Toolchain("vax", "cc"), said, Program(problem="no"), Program(problem="no"))
    assert (len(found.cpu), len(found.uname_a), found.byte_order) == (12, 300, "")
    assert found.compiler_version == ""


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"#!/bin/sh\n", "minios-static: not an ELF file, or a damaged one"),
        (make_elf(kind=1), "minios-static: not a program, but an ELF file of type 1"),
        (make_elf()[:50], "minios-static: not an ELF file, or a damaged one"),
    ],
)
def test_bytes_that_are_no_program(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert read_program(path, STATIC, "0") == Program(problem=problem)


def test_loader_with_strange_characters(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(make_elf(interpreter="/lib/\x1b[31mld\u2028.so", needed=["libc\n.so"]))
    found = read_program(path, DYNAMIC, "")
    assert (found.interpreter, found.needed) == ("/lib/?[31mld?.so", ("libc?.so",))


def test_store(tmp_path: Path) -> None:
    store = ProbeStore(tmp_path / "probes")
    assert store.read("one") is None
    record = ProbeRecord(worker="one", arch="x86_64", attached="then", probed="now", machine=machine())
    store.write(record)
    assert store.read("one") == record
    # A damaged one is as good as none, and is replaced.
    for damaged in (b"{}", b"", b"\xff", record.model_dump_json().encode()[:99]):
        (tmp_path / "probes" / "one.json").write_bytes(damaged)
        assert store.read("one") is None
    store.write(record)
    assert store.read("one") == record
