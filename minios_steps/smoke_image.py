"""`SmokeImage`: the checks of the smoke test in a container of the image that was built."""

from __future__ import annotations

import dataclasses
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.process.results import FAILURE, SUCCESS, WARNINGS

from minios_steps.core.docker.commands import environment
from minios_steps.core.docker.engine import DockerError
from minios_steps.core.kconfig import parse_dotconfig
from minios_steps.core.smoke import SmokeResult, container_script, parse_smoke
from minios_steps.core.smoke_checks import smoke_checks
from minios_steps.docker_step import DockerStep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.docker.commands import Commands
    from minios_steps.core.smoke_checks import SmokeCheck

CANNOT_RUN = "exec format error"
"""Linux's words for a program of another CPU without an interpreter for it (errno ENOEXEC)."""


class SmokeImage(DockerStep):
    """Run the checks inside the image that `BuildImage` made with the backend `docker`.

    Args:
        arch: the CPU.
        check_timeout: seconds for each check.

    The container has no network, no capabilities and nothing it can write to but an empty folder
    for each check. An engine that cannot run the CPU, itself or through binfmt, ends in WARNINGS
    with the reason. Appends to the property `smoke`, with `image: ` before each name. Needs the
    property `docker_names`.
    """

    name = "smoke-image"
    renderables = ("check_timeout",)

    def __init__(self, *, arch: Arch, check_timeout: Any = 60, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arch = arch
        self.check_timeout = check_timeout

    async def work(self) -> int:
        """Try to start it; then run the checks in one container."""
        folder = Path(self.getProperty("cell_dir"))
        applets = (folder / "applets.txt").read_text("utf-8").split()
        config = parse_dotconfig((folder / "dot.config").read_text("utf-8"))
        checks = smoke_checks(applets, config, inside=True)
        docker = await self.commands(self.arch.platform.platform)
        if why := await self._why_not(docker, applets):
            return await self._tell([SmokeResult(c.name, "skipped", f"not run: {why}") for c in checks], why)
        results = await self._run_checks(docker, checks)
        return await self._tell(results, "")

    async def _why_not(self, docker: Commands, applets: Iterable[str]) -> str:
        """Why no check can be run here; empty when they can. A program that crashes is an error."""
        trial = await self.command(
            docker.trial,
            collect=True,
            env=environment(docker.engine),
            timeout=int(self.check_timeout),
            max_lines=20_000,
        )
        if CANNOT_RUN in (trial.stdout + trial.stderr).lower():
            return f"the Docker engine of this worker cannot run {docker.platform}"
        if trial.code:
            raise DockerError(f"the image does not start: {trial.last_line}")
        return "" if "sh" in applets else "the image has no shell"

    async def _run_checks(self, docker: Commands, checks: tuple[SmokeCheck, ...]) -> tuple[SmokeResult, ...]:
        run = [check for check in checks if not check.skip]
        await self.docker(docker.keep(check.name for check in run), docker.engine, "no container starts")
        nonce = secrets.token_hex(8)
        seconds = int(self.check_timeout * self.timeout_factor)
        script = container_script(checks, docker.enter, nonce=nonce, seconds=seconds)
        await self.download_text(script, "smoke.sh")
        output = await self.command(
            ["sh", "smoke.sh"], collect=True, timeout=int(self.check_timeout) + 30, max_lines=20_000
        )
        return parse_smoke(output.stdout, checks, nonce)

    async def _tell(self, results: Iterable[SmokeResult], why: str) -> int:
        results = tuple(results)
        lines = [f"{r.outcome:<8}{r.name}: {r.detail}" for r in results]
        await self.addCompleteLog("checks", "\n".join(lines) + "\n")
        named = [{**dataclasses.asdict(r), "name": f"image: {r.name}"} for r in results]
        self.setProperty("smoke", [*self.getProperty("smoke", []), *named], self.name)
        failed = [r for r in results if not r.ok]
        skipped = sum(1 for r in results if r.outcome == "skipped")
        self.setStatistic("checks", len(results))
        self.setStatistic("failed", len(failed))
        if why:
            self.summary = f"not run: {why}"
            return int(WARNINGS)
        if failed:
            self.summary = f"smoke test failed in the image: {failed[0].name}: {failed[0].detail}"
            self.setProperty("problem", self.summary, self.name)
            return int(FAILURE)
        told = f", {skipped} not configured" if skipped else ""
        self.summary = f"{len(results) - skipped} checks passed in a container{told}"
        return int(SUCCESS)
