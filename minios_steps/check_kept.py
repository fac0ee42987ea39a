"""`CheckKept`: a spot check that objects of earlier builds give the bytes of a clean build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import SKIPPED, SUCCESS, WARNINGS

from minios_steps.core.clean_check import clean_check_command, parse_checked
from minios_steps.core.errors import MiniosError
from minios_steps.core.make import make_command, make_environment
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from minios_steps.core.config.arch import Arch


class CheckKept(MiniosStep):
    """Compile the same configuration in an empty folder, without ccache, and compare the bytes.

    Where they differ, the clean ones are used from here on, what was kept is removed, and the step
    ends in WARNINGS: kbuild, or the compiler's cache, missed something.

    Args:
        arch: the CPU.
        jobs: `make -j`; 0 takes the worker's cores (property `cores`, else 1).

    Does nothing for a build that started without objects (property `objects_kept`). Sets the
    property `kept_differs` where they differ.
    """

    name = "check"
    renderables = ("jobs",)
    default_workdir = "build"

    def __init__(self, *, arch: Arch, jobs: Any = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arch = arch
        self.jobs = jobs

    async def work(self) -> int:
        """Compile clean, compare, choose."""
        if not self.getProperty("objects_kept", False):
            self.summary = "nothing to check: the build was a clean one"
            return int(SKIPPED)
        make = make_command(
            jobs=int(self.jobs or 0) or int(self.getProperty("cores", 1)),
            arch=self.arch.busybox_arch,
            prefix=str(self.getProperty("cc_prefix", "")),
            ccache=False,
        )
        output = await self.command(
            clean_check_command(self.arch.busybox_arch, make),
            env=make_environment(epoch=int(self.getProperty("epoch", 0)), ccache=False, compiler=""),
            collect=True,
            timeout=600,
        )
        if output.code:
            raise MiniosError(
                f"a clean build failed where one with kept objects did not: {output.last_line}",
                hint="build again with --force, which keeps nothing",
            )
        if parse_checked(output.stdout):
            self.summary = "kept objects gave the bytes of a clean build"
            return int(SUCCESS)
        self.setProperty("kept_differs", True, self.name)
        self.summary = "KEPT OBJECTS GAVE OTHER BYTES than a clean build, which is used; they are removed"
        return int(WARNINGS)
