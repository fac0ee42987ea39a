"""A stand-in for SW64's tools and emulator, made of alpha's: no compiler for SW64 can be had.

What it is good for: everything that handles a CPU of another name, triplet and ELF machine number is
run from end to end. What it says nothing about: code for SW64, and the compilers that make it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).with_name("standin_sw64_scripts")
TRIPLET = "sw_64-sunway-linux-gnu"
TOOLS = ("ar", "as", "cpp", "gcc", "ld", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strip")
EMULATOR = "qemu-sw64-standin"
SYSROOT = Path("usr/alpha-linux-gnu/lib")
"""Where Debian has alpha's libraries, below the root."""
IN_THE_FIELD, ASSIGNED = 0x9916, 268
"""SW64's ELF machine numbers: what shipped compilers write, and EM_SW64 of binutils."""
ALPHA = 0x9026
GUARD = "STANDIN_SW64_IN_TESTS"
"""The environment variable without which the tools refuse to work; the worker must have it as `yes`."""

_HEADER, _TYPE, _MACHINE = 20, 16, 18  # ELF-64: bytes up to and with e_machine, and where fields are
_SHARED = b"\x03\0"


@dataclass(frozen=True)
class StandIn:
    """The tools.

    Args:
        folder: all of it is below; may be moved, also into another root.
        machine: the ELF machine number that they write.
    """

    folder: Path
    machine: int

    @property
    def bin(self) -> Path:
        """The folder to be put on the `PATH`: the tools, and `EMULATOR`."""
        return self.folder / "bin"

    def environment(self, path: str) -> dict[str, str]:
        """What makes them found and work: `PATH`, from what it is without them, and the guard."""
        return {"PATH": f"{self.bin}:{path}", GUARD: "yes"}


def make_standin(folder: Path, *, root: Path = Path("/"), machine: int = IN_THE_FIELD) -> StandIn:
    """Write the tools.

    Args:
        folder: where to; made when it is not there.
        root: the system they are to run on, which has Debian's `gcc-alpha-linux-gnu`,
            `libc6.1-dev-alpha-cross` and, for the emulator, `qemu-user-static`. `folder` has to be
            below it. The tools need no Python, and find themselves and alpha's by where they are
            and by the `PATH`.
        machine: the ELF machine number to write.
    """
    (folder / "bin").mkdir(parents=True)
    for name in ("elf.sh", "tool.sh", "emulator.sh"):
        shutil.copy(SCRIPTS / name, folder / name)
        (folder / name).chmod(0o755)
    for tool in TOOLS:
        (folder / "bin" / f"{TRIPLET}-{tool}").symlink_to("../tool.sh")
    (folder / "bin" / EMULATOR).symlink_to("../emulator.sh")
    number = machine.to_bytes(2, "little")
    octal = "".join(f"\\{byte:03o}" for byte in number)
    (folder / "number").write_text(f"{number.hex()} {octal}\n", "utf-8")
    _copy_libraries(root / SYSROOT, folder / "sysroot" / "lib", number)
    return StandIn(folder, machine)


def name_emulator(arch_file: Path) -> None:
    """Have a copy of `config/arches/sw64.yaml` name the stand-in's emulator; the shipped one has none."""
    text = arch_file.read_text("utf-8")
    assert text.count("emulator: []\n") == 1
    arch_file.write_text(text.replace("emulator: []\n", f"emulator: [{EMULATOR}]\n"), "utf-8")


def _copy_libraries(source: Path, dest: Path, number: bytes) -> None:
    """Copy shared libraries, with their number; a compiler is to say that they are there."""
    assert source.is_dir(), f"{source}: is libc6.1-dev-alpha-cross there?"
    dest.mkdir(parents=True)
    alpha = ALPHA.to_bytes(2, "little")
    for path in source.glob("*.so*"):
        data = bytearray(path.read_bytes()) if path.is_file() else bytearray()
        header = data[:_HEADER]
        if header[:4] == b"\x7fELF" and header[_TYPE:] == _SHARED + alpha:
            data[_MACHINE:_HEADER] = number
            (dest / path.name).write_bytes(data)
            (dest / path.name).chmod(0o755)
