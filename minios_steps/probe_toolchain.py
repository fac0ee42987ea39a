"""`ProbeToolchain`: what the worker's machine and compiler are, before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.errors import MiniosError
from minios_steps.core.toolchain import compiler_prefix, parse_probe, probe_command
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from minios_steps.core.config.arch import Arch


class ProbeToolchain(MiniosStep):
    """Ask the worker for its compiler, libc, machine, tools and free disk.

    Args:
        arch: the CPU to compile for; the native compiler is used where `uname -m` is the
            arch's own, else the arch's cross compiler.

    Sets the properties `toolchain_identity` (text: what can change the bytes), `cc_prefix`,
    `cores`, `native` (whether the worker runs the arch itself), `emulator` (a path) and `engine`
    (the version of a Docker engine that answers; empty without one).
    """

    name = "probe"
    default_workdir = "."

    def __init__(self, *, arch: Arch, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arch = arch

    async def work(self) -> int:
        """Run the probe script and judge the answer."""
        output = await self.command(probe_command(self.arch), collect=True, timeout=60, max_lines=2000)
        if output.code:
            raise MiniosError(f"the probe failed on the worker: {output.last_line}")
        toolchain = parse_probe(output.stdout, self.arch)
        toolchain.check_against(self.arch)
        facts = {
            "toolchain_identity": toolchain.identity,
            "cc_prefix": compiler_prefix(self.arch, toolchain.uname),
            "cores": toolchain.cores,
            "native": toolchain.uname in self.arch.uname,
            "emulator": toolchain.emulator,
            "engine": toolchain.engine,
        }
        for name, value in facts.items():
            self.setProperty(name, value, self.name)
        self.summary = toolchain.summary
        return int(SUCCESS)
