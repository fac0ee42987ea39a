"""`ReportDrift`: what a candidate's kconfig has that the last release's has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import SKIPPED, SUCCESS, WARNINGS

from minios_steps.core.errors import MiniosError
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.upstream.drift import drift_between, last_before
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.config.project import Project
    from minios_steps.core.upstream.drift import Drift
    from minios_steps.core.version import Version


class ReportDrift(MiniosStep):
    """Compare each candidate of the build with the last release before it, for people.

    That is the newest one, pinned or approved, with a lower number.

    Args:
        project: the configuration, with its discovered releases.
        cache: the master's cache folder.

    Reads the property `versions`. WARNINGS when a fragment line does not apply, or the releases
    cannot be compared: the build tells better what comes of it, so it goes on.
    """

    name = "drift"
    haltOnFailure = False
    flunkOnFailure = False

    def __init__(self, *, project: Project, cache: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.cache = cache

    async def work(self) -> int:
        """Compare and tell."""
        known = await self.in_thread(lambda: self.project.discovered)
        candidates = [version for version in self.getProperty("versions", []) if version in known]
        if not candidates:
            return int(SKIPPED)
        lines: list[str] = []
        summaries: list[str] = []
        result = SUCCESS
        for version in candidates:
            try:
                found = await self.in_thread(
                    self._compare,
                    self.project.version(version),
                    lines.append,
                )
            except MiniosError as error:
                lines.append(str(error))
                summaries.append(f"{version} cannot be compared: {error.what}")
                result = WARNINGS
                continue
            lines += found.lines
            summaries.append(found.summary)
            if any(found.stale.values()):
                result = WARNINGS
        await self.addCompleteLog("drift", "\n".join(lines) + "\n")
        self.summary = "; ".join(summaries)
        return int(result)

    def _compare(self, version: Version, report: Callable[[str], None]) -> Drift:
        return drift_between(
            self.project,
            last_before(self.project, version),
            version,
            cache=SourceCache(self.cache / "sources"),
            report=report,
            cancelled=self.cancelled,
        )
