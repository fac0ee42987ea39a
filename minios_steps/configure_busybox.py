"""`ConfigureBusyBox`: a `.config` without a terminal, and proof that it is what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core import kconfig
from minios_steps.core.errors import MiniosError
from minios_steps.core.kbuild import KbuildRules
from minios_steps.core.make import configure_command
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.config.arch import Arch

CONFIG_LIMIT = 1 << 20
"""Bytes a `.config` may have; a real one has 30,000."""

BASES = ("defconfig", "allnoconfig")


class ConfigureBusyBox(MiniosStep):
    """Make a `.config` from a base and fragments, then read it back and check it.

    Args:
        arch: the CPU.
        fragments: a sequence of `kconfig.Fragment`, or a renderable of one; the last wins.
        work_root: the master's scratch folder.
        base: `defconfig` or `allnoconfig`.

    Fails when a symbol that a fragment asks for does not exist or did not stick, naming
    it. Keeps the result as `dot.config` in the build's scratch folder. Sets the properties
    `cell_dir` (that folder) and `objects`: how many files the compiler will be run on, when
    the property `kbuild_rules` is there to tell.
    """

    name = "configure"
    renderables = ("fragments", "base")
    default_workdir = "build/obj"

    def __init__(
        self, *, arch: Arch, fragments: Any, work_root: Path, base: Any = "defconfig", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.arch = arch
        self.fragments: Sequence[kconfig.Fragment] = fragments
        self.work_root = work_root
        self.base = base

    async def work(self) -> int:
        """Fragments, the base for what they leave open, and the check."""
        asked = kconfig.merge(self.fragments)
        if self.base not in BASES:
            raise MiniosError(f"unknown kconfig base {self.base!r}: there is {', '.join(BASES)}")
        base = ""
        # `oldconfig` gives what defconfig gives; to run that first would only take seconds more.
        if self.base != "defconfig":
            await self._make(self.base)
            base = await self.upload_text(".config", limit=CONFIG_LIMIT)
        await self.download_text(kconfig.apply(base, asked), ".config")
        await self._make()
        text = await self.upload_text(".config", limit=CONFIG_LIMIT)
        await self.addCompleteLog(".config", text)
        folder = self.scratch(self.work_root, fresh=True)
        (folder / "dot.config").write_text(text, "utf-8")
        kconfig.verify(text, asked)
        config = kconfig.parse_dotconfig(text)
        enabled = sum(1 for value in config.values() if value == "y")
        objects = self._count_objects(config)
        self.setProperty("objects", objects, self.name)
        self.setStatistic("symbols", enabled)
        told = f", {objects} files to compile" if objects else ""
        self.summary = f"{enabled} symbols on, all {len(asked)} asked-for stuck{told}"
        return int(SUCCESS)

    async def _make(self, base: str = "") -> None:
        # The C locale and KCONFIG_NOTIMESTAMP keep the result the same everywhere.
        output = await self.command(
            configure_command(self.arch.busybox_arch, base), env={"KCONFIG_NOTIMESTAMP": "1"}, collect=True
        )
        if output.code:
            raise MiniosError(f"make {base or 'oldconfig'} failed on the worker: {output.last_line}")

    def _count_objects(self, config: Mapping[str, str]) -> int:
        rules = self.getProperty("kbuild_rules")
        return KbuildRules.from_json(Path(rules).read_text("utf-8")).count(config) if rules else 0
