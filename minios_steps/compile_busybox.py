"""`CompileBusyBox`: `make`, watched file by file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from buildbot.process import logobserver
from buildbot.process.results import SUCCESS

from minios_steps.core.errors import CompileError, MiniosError
from minios_steps.core.make import make_command, make_environment
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from minios_steps.core.config.arch import Arch

# kbuild prints one such line per object; `HOSTCC` lines are its own tools.
_COMPILED = re.compile(r"^  (?:CC|AS)\s+\S")
_WARNING = re.compile(r":\d+(?::\d+)?: warning: ")
# The compiler's form, the linker's, and then make's own, which only says that another failed.
_ERRORS = (
    re.compile(r"^\S+:\d+(?::\d+)?: (?:fatal )?error: .*"),
    re.compile(r"^.*(?:undefined reference|cannot find -l|No space left on device|not found).*"),
    re.compile(r"^(?:make|cc1|collect2|/bin/sh|sh).*(?:\*\*\*|rror|not found).*"),
)
# What gcc calls fatal is a missing file, a full disk or a killed process: the machine's.
_CERTAIN = re.compile(r"^\S+:\d+(?::\d+)?: error: |undefined reference")
# After one of these other errors may follow, such as that of a linker which finds half a file.
_TROUBLE = re.compile(
    r"No space left on device|Disk quota exceeded|Input/output error|Cannot allocate memory"
    r"|virtual memory exhausted|fatal error: Killed signal|internal compiler error"
)


class _MakeObserver(logobserver.LogLineObserver):  # type: ignore[misc]
    """Counts objects and warnings, and keeps the first error of the best kind."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed
        self.compiled = 0
        self.warnings = 0
        self.errors: list[str] = [""] * len(_ERRORS)
        self.trouble = False

    def outLineReceived(self, line: str) -> None:
        """A line of make's output."""
        if _COMPILED.match(line):
            self.compiled += 1
            self._changed()
        else:
            self._look(line)

    def errLineReceived(self, line: str) -> None:
        """A line of the compiler's complaints."""
        self._look(line)

    def _look(self, line: str) -> None:
        if _WARNING.search(line):
            self.warnings += 1
            return
        self.trouble = self.trouble or bool(_TROUBLE.search(line))
        for rank, pattern in enumerate(_ERRORS):
            if not self.errors[rank] and pattern.match(line):
                self.errors[rank] = line.strip()[:300]

    @property
    def first_error(self) -> str:
        """The line that best says why make failed; empty when nothing did."""
        return next((line for line in self.errors if line), "")


class CompileBusyBox(MiniosStep):
    """Run `make -jN` with the arch's compiler.

    Args:
        arch: the CPU.
        jobs: `make -j`; 0 takes the worker's cores (property `cores`, else 1).
        cc_prefix: the compiler's prefix; the property of that name when not given.
        epoch: `SOURCE_DATE_EPOCH`, seconds; the property of that name when not given.

    It is called through ccache where the worker has it (property `ccache`), with a cache of the
    worker's own. Statistics: `objects`, `warnings`, `seconds`.
    """

    name = "compile"
    renderables = ("jobs", "cc_prefix", "epoch")
    default_workdir = "build/obj"

    def __init__(
        self, *, arch: Arch, jobs: Any = 0, cc_prefix: Any = None, epoch: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.arch = arch
        self.jobs = jobs
        self.cc_prefix = cc_prefix
        self.epoch = epoch
        self._observer = _MakeObserver(self.updateSummary)

    async def work(self) -> int:
        """Compile; the summary quotes the first error line when it fails."""
        jobs = int(self.jobs or 0) or int(self.getProperty("cores", 1))
        prefix = self.getProperty("cc_prefix", "") if self.cc_prefix is None else self.cc_prefix
        epoch = self.getProperty("epoch", 0) if self.epoch is None else self.epoch
        await self.addLog("stdio")
        self.addLogObserver("stdio", self._observer)
        started = self.master.reactor.seconds()
        ccache = bool(self.getProperty("ccache", False))
        output = await self.command(
            make_command(jobs=jobs, arch=self.arch.busybox_arch, prefix=prefix, ccache=ccache),
            env=make_environment(
                epoch=int(epoch), ccache=ccache, compiler=str(self.getProperty("toolchain_identity", ""))
            ),
            timeout=600,
        )
        seconds = round(self.master.reactor.seconds() - started)
        seen = self._observer
        for name, value in (("objects", seen.compiled), ("warnings", seen.warnings), ("seconds", seconds)):
            self.setStatistic(name, value)
        if output.timed_out:
            raise MiniosError(f"compile timed out after {seconds} s, {seen.compiled} files done")
        if output.code:
            why = seen.first_error or f"make ended with {output.code}"
            certain = _CERTAIN.search(why) and not seen.trouble
            kind = CompileError if certain else MiniosError
            raise kind(f"compile failed: {why}")
        plural = "" if seen.warnings == 1 else "s"
        again = " again" if self.getProperty("objects_kept", False) else ""
        self.summary = f"compiled {seen.compiled} files{again}, {seen.warnings} warning{plural}, {seconds} s"
        return int(SUCCESS)

    def getCurrentSummary(self) -> dict[str, str]:
        """Files done of the total that ConfigureBusyBox counted."""
        # Nobody knows how many of the objects of an earlier build will do.
        known = self.build is not None and not self.getProperty("objects_kept", False)
        total = self.getProperty("objects", 0) if known else 0
        done = self._observer.compiled
        return {"step": f"compiling {done}/{max(total, done)} files" if total else f"compiling, {done} files"}
