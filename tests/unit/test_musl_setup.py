"""The real script that puts a kit beside a compiler, on machines with a made-up compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from muslbed import TRIPLET, FakeDebian, musl_arch

from minios_steps.core.cancel import never
from minios_steps.core.musl.kit import MuslKit, obtain_kit
from minios_steps.core.musl.setup import SETUP_AND_PROBE, parse_setup, setup_command, wants_kit
from minios_steps.core.toolchain import ToolchainError, parse_probe

if TYPE_CHECKING:
    from pathlib import Path

ARCH = musl_arch()
# Shows what it was called with; the preprocessor knows where the kernel's headers are.
GCC = """#!/bin/sh
case "$*" in
    "-x c -E -")
        while read -r _ name; do
            name=${name#<} name=${name%>}
            for folder in "$HEADERS"/one "$HEADERS"/two; do
                if [ -f "$folder/$name" ]; then echo "# 1 \\"$folder/$name\\" 1"; fi
            done
        done ;;
    *) for word; do echo "$word"; done ;;
esac
"""


class Machine:
    """A worker's folder, and a compiler on its PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.home = folder / "worker"
        self.headers = folder / "headers"
        for path in (self.bin, self.home / "builder"):
            path.mkdir(parents=True)
        for name in ("one/linux/version.h", "one/asm-generic/types.h", "two/asm/types.h"):
            (self.headers / name).parent.mkdir(parents=True)
            (self.headers / name).touch()
        self.program("uname", "#!/bin/sh\necho x86_64\n")
        monkeypatch.setenv("PATH", str(self.bin), prepend=os.pathsep)
        monkeypatch.setenv("HEADERS", str(self.headers))

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(script, "utf-8")
        path.chmod(0o755)

    def run(self, kit: MuslKit) -> str:
        done = subprocess.run(
            setup_command(ARCH, kit, ".."),
            cwd=self.home / "builder",
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert done.stderr == ""
        return done.stdout

    def give(self, kit: MuslKit) -> None:
        shutil.copy(kit.path, self.home / f"{kit.name}.tar.gz")

    @property
    def kits(self) -> list[Path]:
        return sorted(self.home.glob("minios-musl-*"))


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MuslKit:
    FakeDebian(tmp_path / "fake", monkeypatch)
    made = obtain_kit(ARCH, tmp_path / "cache", report=print, cancelled=never)
    assert made is not None
    return made


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path / "machine", monkeypatch)
    made.program("aarch64-linux-gnu-gcc", GCC)
    return made


def say(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.splitlines()


def test_a_compiler_that_links_musl(machine: Machine, kit: MuslKit) -> None:
    assert wants_kit(machine.run(kit))
    machine.give(kit)
    machine.program("aarch64-linux-gnu-ar", "#!/bin/sh\necho ar\n")
    prefix = parse_setup(machine.run(kit), ARCH)
    [folder] = machine.kits
    assert prefix == f"{folder}/bin/{TRIPLET}-"
    compiled = say(f"{prefix}gcc", "-c", "two words.c")
    assert compiled == [
        *("-c", "two words.c", "-specs", f"{folder}/musl-gcc.specs"),
        *("-idirafter", f"{folder}/kernel"),
    ]
    assert say(f"{prefix}ar") == ["ar"]
    specs = (folder / "musl-gcc.specs").read_text("utf-8")
    assert specs == f"-isystem {folder}/include {folder}/lib/crt1.o\n"
    assert {path.name: str(path.readlink()) for path in (folder / "kernel").iterdir()} == {
        "linux": f"{machine.headers}/one/linux",
        "asm-generic": f"{machine.headers}/one/asm-generic",
        "asm": f"{machine.headers}/two/asm",
    }


def test_the_compiler_that_links_musl_is_probed(machine: Machine, kit: MuslKit) -> None:
    answer = machine.run(kit)
    assert "minios-probe" not in answer, "there is nothing to probe before the kit is there"
    machine.give(kit)
    answer = machine.run(kit)
    [folder] = machine.kits
    toolchain = parse_probe(answer, ARCH, kit)
    assert toolchain.prefix == parse_setup(answer, ARCH) == f"{folder}/bin/{TRIPLET}-"
    assert f"{folder}/musl-gcc.specs" in toolchain.cc_version


def test_a_tool_that_talks_does_not_hide_the_compiler(machine: Machine, kit: MuslKit) -> None:
    machine.give(kit)
    machine.run(kit)
    machine.program("touch", "#!/bin/sh\necho touching a file\n")
    answer = machine.run(kit)
    assert answer.startswith("touching a file\n")
    assert parse_probe(answer, ARCH, kit).prefix == parse_setup(answer, ARCH)


def test_its_own_libraries_are_found(machine: Machine, kit: MuslKit) -> None:
    machine.give(kit)
    prefix = parse_setup(machine.run(kit), ARCH)
    [folder] = machine.kits
    name = "ld-musl-aarch64.so.1"
    assert say(f"{prefix}gcc", f"-print-file-name={name}") == [f"{folder}/lib/{name}"]
    assert say(f"{prefix}gcc", "-print-file-name=libgcc.a")[0] == "-print-file-name=libgcc.a"


def test_it_is_unpacked_once(machine: Machine, kit: MuslKit) -> None:
    machine.give(kit)
    first = machine.run(kit)
    assert parse_setup(machine.run(kit), ARCH) == parse_setup(first, ARCH)
    assert not wants_kit(first)
    assert len(machine.kits) == 1, "the tar is removed"


def test_other_headers_are_another_compiler(machine: Machine, kit: MuslKit) -> None:
    machine.give(kit)
    first = machine.run(kit)
    (machine.headers / "one" / "mtd").mkdir()
    (machine.headers / "one" / "mtd" / "mtd-abi.h").touch()
    assert wants_kit(machine.run(kit))
    machine.give(kit)
    assert parse_setup(machine.run(kit), ARCH) != parse_setup(first, ARCH)
    assert len(machine.kits) == 2


def test_what_was_not_used_for_long_is_removed(machine: Machine, kit: MuslKit) -> None:
    old = machine.home / f"minios-musl-{TRIPLET}-old"
    other = machine.home / "minios-musl-x86_64-linux-musl-old"
    killed = machine.home / f"minios-musl-{TRIPLET}-killed.7"
    for folder in (old, other, killed):
        folder.mkdir()
        (folder / "ready").touch()
        os.utime(folder / "ready", (0, 0))
    (killed / "ready").unlink()
    os.utime(killed, (0, 0))
    machine.give(kit)
    machine.run(kit)
    assert not old.exists()
    assert not killed.exists()
    assert other.exists(), "another CPU's is its own business"


def test_half_unpacked_does_not_count(machine: Machine, kit: MuslKit) -> None:
    machine.give(kit)
    machine.run(kit)
    [folder] = machine.kits
    (folder / "ready").unlink()
    assert wants_kit(machine.run(kit))
    machine.give(kit)
    assert parse_setup(machine.run(kit), ARCH)
    assert machine.kits == [folder]


def test_no_compiler_is_for_the_probe_to_tell(
    machine: Machine, kit: MuslKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.bin / "aarch64-linux-gnu-gcc").unlink()
    monkeypatch.setenv("PATH", str(machine.bin))
    answer = machine.run(kit)
    assert parse_setup(answer, ARCH) == ""
    assert not wants_kit(answer)
    with pytest.raises(ToolchainError, match="aarch64-linux-gnu-gcc was not found"):
        parse_probe(answer, ARCH)


def test_a_path_that_make_cannot_take(machine: Machine, kit: MuslKit, tmp_path: Path) -> None:
    machine.home = tmp_path / "two words"
    (machine.home / "builder").mkdir(parents=True)
    with pytest.raises(ToolchainError, match="a space or a special character"):
        parse_setup(machine.run(kit), ARCH)


def test_a_damaged_tar_does_not_count(machine: Machine, kit: MuslKit) -> None:
    (machine.home / f"{kit.name}.tar.gz").write_bytes(b"damaged")
    done = subprocess.run(
        setup_command(ARCH, kit, ".."),
        cwd=machine.home / "builder",
        capture_output=True,
        text=True,
        check=False,
    )
    with pytest.raises(ToolchainError, match="could not be unpacked"):
        parse_setup(done.stdout, ARCH)


@pytest.mark.parametrize(
    "answer", ["", "minios-musl\t", "minios-musl\trelative/bin/x-", "minios-musl\t/bin/x", "hello\n"]
)
def test_strange_answers(answer: str) -> None:
    with pytest.raises(ToolchainError, match="could not be unpacked for aarch64"):
        parse_setup(answer, ARCH)


def test_script_is_plain() -> None:
    for bashism in ("[[", "local ", "$'", "<<<", "function "):
        assert bashism not in SETUP_AND_PROBE
