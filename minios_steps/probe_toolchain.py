"""`ProbeToolchain`: what the worker's machine and compiler are, before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.errors import MiniosError
from minios_steps.core.musl.kit import obtain_kit
from minios_steps.core.musl.setup import parse_setup, setup_command, wants_kit
from minios_steps.core.toolchain import parse_probe, probe_command
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.command_output import CommandOutput
    from minios_steps.core.config.arch import Arch
    from minios_steps.core.musl.kit import MuslKit

KITS = ".."
"""Where kits are on a worker: beside its builders' folders, so that they share them."""


class ProbeToolchain(MiniosStep):
    """Ask the worker for its compiler, libc, machine, tools and free disk.

    Where the arch's file names a musl, it is sent to the worker first and put beside the compiler.

    Args:
        arch: the CPU to compile for; the native compiler is used where `uname -m` is the
            arch's own, else the arch's cross compiler.
        cache: the master's cache folder.

    Sets the properties `toolchain_identity` (text: what can change the bytes), `cc_prefix`,
    `cores`, `ccache` (whether it is there), `native` (whether the worker runs the arch itself),
    `emulator` (a path) and `engine` (the version of a Docker engine that answers; empty without one).
    """

    name = "probe"
    default_workdir = "."

    def __init__(self, *, arch: Arch, cache: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arch = arch
        self.cache = cache

    async def work(self) -> int:
        """Put musl there where it is wanted, run the probe script and judge the answer."""
        kit = await self._obtain_kit() if self.arch.libc == "musl" else None
        output = await (self._set_up(kit) if kit else self._ask(probe_command(self.arch)))
        if output.code:
            raise MiniosError(f"the probe failed on the worker: {output.last_line}")
        prefix = parse_setup(output.stdout, self.arch) if kit else ""
        toolchain = parse_probe(output.stdout, self.arch, kit if prefix else None)
        toolchain.check_against(self.arch)
        facts = {
            "toolchain_identity": toolchain.identity,
            "cc_prefix": toolchain.prefix,
            "cores": toolchain.cores,
            "ccache": bool(toolchain.ccache),
            "native": toolchain.uname in self.arch.uname,
            "emulator": toolchain.emulator,
            "engine": toolchain.engine,
        }
        for name, value in facts.items():
            self.setProperty(name, value, self.name)
        self.summary = toolchain.summary
        return int(SUCCESS)

    async def _obtain_kit(self) -> MuslKit | None:
        lines: list[str] = []
        try:
            return await self.in_thread(
                obtain_kit, self.arch, self.cache / "musl", report=lines.append, cancelled=self.cancelled
            )
        finally:
            if lines:
                await self.addCompleteLog("musl", "\n".join(lines) + "\n")

    async def _set_up(self, kit: MuslKit) -> CommandOutput:
        """Make sure that the worker has the kit, and ask for its compiler in the same breath."""
        command = setup_command(self.arch, kit, KITS)
        output = await self._ask(command)
        if wants_kit(output.stdout):
            await self.download_file(kit.path, f"{KITS}/{kit.name}.tar.gz")
            output = await self._ask(command)
        return output

    async def _ask(self, command: tuple[str, ...]) -> CommandOutput:
        return await self.command(command, collect=True, timeout=60, max_lines=2000)
