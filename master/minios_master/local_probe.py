"""The probe that workers get, run on this machine: the same compiler, seen the same way."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.errors import MiniosError
from minios_steps.core.musl.kit import obtain_kit
from minios_steps.core.musl.setup import parse_setup, setup_command, wants_kit
from minios_steps.core.sources.storage import locked, writing
from minios_steps.core.toolchain import parse_probe, probe_command

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.musl.kit import MuslKit
    from minios_steps.core.toolchain import Toolchain

_PROBE_SECONDS = 60
_UNPACK_SECONDS = 60


def probe_local(arch: Arch, cache: Path) -> Toolchain:
    """What this machine compiles for an arch with.

    Args:
        arch: the CPU.
        cache: the master's cache folder. Where the arch's file names a musl, it is fetched and
            put below it, as a worker would put it into its own folder.

    Raises:
        MiniosError: no compiler for `arch`, no musl for it, or no answer in time.
    """
    kit = obtain_kit(arch, cache / "musl", report=lambda _line: None, cancelled=never)
    answer = _set_up(arch, kit, cache / "musl") if kit else _run(probe_command(arch), arch, None)
    there = kit is not None and parse_setup(answer, arch)
    return parse_probe(answer, arch, kit if there else None)


def _set_up(arch: Arch, kit: MuslKit, folder: Path) -> str:
    """Put a kit where this machine's compiler finds it; returns what that compiler says of itself."""
    installed = folder / "here"
    command = setup_command(arch, kit, ".")
    with locked(folder / "here.lock"):
        with writing(installed):
            installed.mkdir(exist_ok=True)
        seconds = _UNPACK_SECONDS + _PROBE_SECONDS
        answer = _run(command, arch, installed, seconds)
        if wants_kit(answer):
            with writing(installed):
                (installed / f"{kit.name}.tar.gz").write_bytes(kit.path.read_bytes())
            answer = _run(command, arch, installed, seconds)
    return answer


def _run(command: tuple[str, ...], arch: Arch, folder: Path | None, seconds: int = _PROBE_SECONDS) -> str:
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise MiniosError(f"the toolchain probe for {arch.name} took more than {seconds} s") from error
    return answer.stdout.decode("utf-8", "replace")
