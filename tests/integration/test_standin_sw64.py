"""The stand-in for SW64's tools does what the real ones would, and only in tests."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from standin_sw64 import ASSIGNED, EMULATOR, GUARD, IN_THE_FIELD, SYSROOT, TRIPLET, StandIn, make_standin
from userland import ROOT

from minios_steps.core.config.load import load_project
from minios_steps.core.elf import ET_DYN, check_machine, read_elf
from minios_steps.core.libraries import LibraryClosure
from minios_steps.core.toolchain import parse_probe, probe_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SW64 = load_project(ROOT / "config").arches["sw64"]
SOURCE = """#include <stdio.h>
int main(int count, char **words) { return count == 2 ? puts(words[1]) < 0 : 9; }
"""


def run(standin: StandIn, words: Sequence[str], folder: Path, code: int = 0) -> str:
    """Run a command with the stand-in on the `PATH`; what it printed, errors too."""
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **standin.environment(os.environ["PATH"])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.mark.parametrize("machine", [IN_THE_FIELD, ASSIGNED])
def test_programs_of_either_number_pass_for_sw64_and_run(
    machine: int, need: Callable[..., None], tmp_path: Path
) -> None:
    need("alpha-linux-gnu-gcc", "qemu-alpha-static")
    standin = make_standin(tmp_path / "standin", machine=machine)
    (tmp_path / "hello.c").write_text(SOURCE, "utf-8")
    gcc, strip = (f"{TRIPLET}-{tool}" for tool in ("gcc", "strip"))
    run(standin, [gcc, "hello.c", "-o", "hello"], tmp_path)
    run(standin, [gcc, "-static", "hello.c", "-o", "hello-static"], tmp_path)
    for name in ("hello", "hello-static"):
        assert read_elf(tmp_path / name).machine == machine
        before = (tmp_path / name).stat().st_size
        run(standin, [strip, name], tmp_path)
        info = read_elf(tmp_path / name)
        assert info.machine == machine
        assert (tmp_path / name).stat().st_size < before
        check_machine(info, SW64, name)
    assert run(standin, [EMULATOR, "hello", "it runs"], tmp_path) == "it runs\n"

    # The libraries that the compiler tells of are SW64's too, and the loader runs them.
    libraries = LibraryClosure(SW64, read_elf(tmp_path / "hello"))
    (tmp_path / "lib").mkdir()
    while wanted := libraries.wanted():
        for name in wanted:
            path = tmp_path / run(standin, [gcc, f"-print-file-name={name}"], tmp_path).strip()
            libraries.add(name, path.read_bytes())
            (tmp_path / "lib" / name).symlink_to(path)
    assert {info.type for info in map(read_elf, (tmp_path / "lib").iterdir())} == {ET_DYN}
    loader = ["lib/ld-linux.so.2", "--library-path", "lib", "./hello"]
    assert run(standin, [EMULATOR, *loader, "so too"], tmp_path) == "so too\n"

    # It has no option that gcc 7 has not.
    newer = run(standin, [gcc, "-Oz", "-c", "hello.c"], tmp_path, 1)
    assert "unrecognized command line option '-Oz'" in newer

    # An emulator of SW64 would not run alpha's.
    run(standin, ["alpha-linux-gnu-gcc", "hello.c", "-o", "alpha"], tmp_path)
    assert "not a program or library of SW64" in run(standin, [EMULATOR, "alpha"], tmp_path, 126)


def test_the_probe_takes_it_and_keeps_what_it_is(need: Callable[..., None], tmp_path: Path) -> None:
    need("alpha-linux-gnu-gcc")
    standin = make_standin(tmp_path / "standin")
    toolchain = parse_probe(run(standin, probe_command(SW64), tmp_path), SW64)
    toolchain.check_against(SW64)
    assert toolchain.cc_path == str(standin.bin / f"{TRIPLET}-gcc")
    assert toolchain.target == TRIPLET
    # So a candidate that is made with it says so in its record.
    assert toolchain.identity.startswith("This is a stand-in for SW64's compiler, in tests only.")


@pytest.mark.parametrize("name", [f"{TRIPLET}-gcc", f"{TRIPLET}-strip", EMULATOR])
def test_not_by_accident(name: str, tmp_path: Path) -> None:
    (tmp_path / SYSROOT).mkdir(parents=True)
    standin = make_standin(tmp_path / "standin", root=tmp_path)
    done = subprocess.run(
        [standin.bin / name, "-v"],
        env={key: value for key, value in os.environ.items() if key != GUARD},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"{name}: a stand-in for minios' tests, made of alpha's tools: it knows nothing of SW64\n"
    )
