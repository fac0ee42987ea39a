"""`ApproveRelease` and `DecideRelease`: from a candidate that is good to a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import SKIPPED, SUCCESS

from minios_steps.core.errors import ConfigError
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from minios_steps.core.config.project import Project
    from minios_steps.core.upstream.discoveries import Discoveries

_GOOD = ("released", "unchanged")


class _DecidingStep(MiniosStep):
    """A step about discovered releases."""

    def __init__(self, *, project: Project, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project = project

    @property
    def discoveries(self) -> Discoveries:
        """The file of discovered releases."""
        if self.project.discoveries is None:
            raise ConfigError("this master keeps no discovered releases")
        return self.project.discoveries


class ApproveRelease(_DecidingStep):
    """Approve the candidate that the property `approve` names, and have the build release it.

    Args:
        project: the configuration, with its discovered releases.

    Sets the property `versions`. Skipped without the property `approve`. Fails when there is no
    such candidate, or it was never good.
    """

    name = "approve"

    async def work(self) -> int:
        """Approve."""
        version = str(self.getProperty("approve", ""))
        if not version:
            return int(SKIPPED)
        who = str(self.getProperty("owner", "") or "the web interface")
        await self.in_thread(self.discoveries.approve, version, who)
        self.setProperty("versions", [version], self.name)
        self.summary = f"{version} approved by {who}"
        return int(SUCCESS)


class DecideRelease(_DecidingStep):
    """Decide what becomes of each candidate that this build has written.

    Args:
        project: the configuration, with its discovered releases.
        publish: makes the step that releases a version and variant.

    Reads the property `releases` of `PublishManifest`. A candidate whose configured variants were
    all written has passed; with the policy `auto` it is approved, and published under its
    release's tags by further steps of this build. Sets the property `waiting`: the versions that
    wait for somebody to approve them.
    """

    name = "decide"

    def __init__(self, *, publish: Callable[[str, str], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.publish = publish

    async def work(self) -> int:
        """Judge each candidate."""
        written: dict[str, dict[str, str]] = {}
        for report in self.getProperty("releases", []):
            written.setdefault(report["version"], {})[report["variant"]] = report["outcome"]
        known = await self.in_thread(lambda: self.project.discovered)
        lines: list[str] = []
        waiting: list[str] = []
        for version, outcomes in written.items():
            if version not in known or known[version].approved:
                continue
            missing = [v for v in self.project.minios.variants if outcomes.get(v) not in _GOOD]
            if missing:
                lines.append(f"{version} is not released: {', '.join(missing)} is not good")
                continue
            await self.in_thread(self.discoveries.mark_passed, version)
            if self.project.minios.upstream.release == "auto":
                await self.in_thread(self.discoveries.approve, version, "policy auto")
                self.build.addStepsAfterCurrentStep([self.publish(version, v) for v in outcomes])
                lines.append(f"{version} is good: released by policy")
            else:
                waiting.append(version)
                lines.append(f"{version} is good: waits for minios release approve {version}")
        self.setProperty("waiting", waiting, self.name)
        self.summary = "; ".join(lines) or "no candidate"
        return int(SUCCESS if lines else SKIPPED)
