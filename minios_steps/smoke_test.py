"""`SmokeTest`: the packed layer is unpacked on the worker and really run."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.process.results import FAILURE, SUCCESS, WARNINGS

from minios_steps.core.errors import MiniosError
from minios_steps.core.kconfig import parse_dotconfig
from minios_steps.core.smoke import (
    SmokeResult,
    is_unpacked,
    parse_smoke,
    runner,
    smoke_script,
    unpack_script,
)
from minios_steps.core.smoke_checks import smoke_checks
from minios_steps.core.tarball import LayerFile
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.smoke_checks import SmokeCheck

LAYER = "layer.tar.gz"
"""The layer, in the smoke folder on the worker."""
ROOT = "root"
"""The unpacked layer, there too."""
SILENT_SECONDS = 300
"""How long nothing may be said, times `timeout_factor`, where a check has less: a slow disk unpacks. So
late is it noticed, too, when a check hangs on a worker without the command `timeout`."""


class SmokeTest(MiniosStep):
    """Run the checks on the bytes that will be published, natively or under the emulator.

    Args:
        arch: the CPU.
        variant: `static` or `dynamic`; may be a renderable.
        check_timeout: seconds for each check.

    A machine that can run the arch neither natively nor by an emulator ends in WARNINGS
    with the reason. Sets the property `smoke`: a list of name, outcome and detail.
    """

    name = "smoke"
    renderables = ("variant", "check_timeout")
    default_workdir = "build/smoke"

    def __init__(self, *, arch: Arch, variant: Any, check_timeout: Any = 60, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arch = arch
        self.variant = variant
        self.check_timeout = check_timeout

    async def work(self) -> int:
        """Send the layer back, unpack it, run the checks."""
        if not self.can_run():
            self.setProperty("smoke", [], self.name)
            return int(WARNINGS)
        layer = LayerFile.from_json(self.getProperty("layer"))
        folder = Path(self.getProperty("cell_dir"))
        applets = (folder / "applets.txt").read_text("utf-8").split()
        config = parse_dotconfig((folder / "dot.config").read_text("utf-8"))
        interpreter = str(self.getProperty("interpreter", ""))
        results = await self.run_checks(layer.path, smoke_checks(applets, config), interpreter)
        self.setProperty("smoke", [dataclasses.asdict(r) for r in results], self.name)
        return self.tell_results(results)

    def can_run(self) -> bool:
        """Whether the worker runs the arch's programs somehow; else the summary says that it does not."""
        if self.getProperty("native", True) or self.getProperty("emulator", ""):
            return True
        self.summary = f"not run: the worker cannot execute {self.arch.name} and has no emulator"
        return False

    async def run_checks(
        self, layer: Path, checks: Sequence[SmokeCheck], interpreter: str
    ) -> tuple[SmokeResult, ...]:
        """Unpack a layer on the worker and run checks on its BusyBox.

        Args:
            layer: the gzipped layer, on the master.
            checks: what to run.
            interpreter: the loader that the program names; empty for a static one.
        """
        native = bool(self.getProperty("native", True))
        emulator = str(self.getProperty("emulator", ""))
        # What the image prints is between nonces it cannot know, so it cannot fake a result.
        nonce = secrets.token_hex(8)
        command = runner(
            self.arch,
            self.variant,
            native=native,
            emulator=emulator,
            interpreter=interpreter,
            rootfs=ROOT,
        )
        script = smoke_script(
            checks, command, nonce=nonce, seconds=int(self.check_timeout * self.timeout_factor)
        )
        await self.download_file(layer, LAYER)
        # One program for both: to start one costs the master more than all else here.
        await self.download_text(unpack_script(LAYER, ROOT, nonce=nonce) + script, "smoke.sh")
        seconds = max(SILENT_SECONDS, int(self.check_timeout) + 30)
        output = await self.command(["sh", "smoke.sh"], collect=True, timeout=seconds, max_lines=20_000)
        if not is_unpacked(output.stdout, nonce):
            raise MiniosError(f"the worker cannot unpack the layer: {output.last_line}")
        results = parse_smoke(output.stdout, checks, nonce)
        lines = [f"{r.outcome:<8}{r.name}: {r.detail}" for r in results]
        await self.addCompleteLog("checks", "\n".join(lines) + "\n")
        return results

    def tell_results(self, results: Sequence[SmokeResult], what: str = "") -> int:
        """Sum up how checks ended; `what` is put before the summary. Returns a Buildbot result."""
        failed = [r for r in results if not r.ok]
        self.setStatistic("checks", len(results))
        self.setStatistic("failed", len(failed))
        native = bool(self.getProperty("native", True))
        how = "natively" if native else f"under {Path(self.getProperty('emulator')).name}"
        if failed:
            self.summary = f"{what}smoke test failed {how}: {failed[0].name}: {failed[0].detail}"
            self.setProperty("problem", self.summary, self.name)
            return int(FAILURE)
        skipped = sum(1 for r in results if r.outcome == "skipped")
        told = f", {skipped} not configured" if skipped else ""
        self.summary = f"{what}{len(results) - skipped} checks passed {how}{told}"
        return int(SUCCESS)
