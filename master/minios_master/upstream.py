"""From a new release to a build: the poller, and the schedulers of candidates and of approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import changes, schedulers, util

from minios_steps.busybox_poller import CATEGORY

from .candidate_scheduler import CandidateScheduler

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project

    from .settings import Settings

POLLER = "busybox"
"""The poller's name, by which the database knows what it has announced."""
CANDIDATES = "candidates"
"""The scheduler that builds what the poller found."""
APPROVE = "approve"
"""The form that releases a candidate."""


def upstream_sources(project: Project, settings: Settings) -> list[Any]:
    """The change sources: one, or none when nobody is to be asked, or the master is of one run only."""
    if not _watches(project, settings):
        return []
    return [
        changes.BusyBoxPoller(
            name=POLLER,
            upstream=project.minios.upstream,
            sources=project.sources,
            config_root=project.root,
            cache=settings.cache,
            discoveries=settings.discoveries,
            pollAtLaunch=True,
        )
    ]


def upstream_schedulers(project: Project, settings: Settings, builder: str) -> list[Any]:
    """What starts `builder` for a candidate, and for a release that somebody approves."""
    if not _watches(project, settings):
        return []
    return [
        CandidateScheduler(name=CANDIDATES, category=CATEGORY, builderNames=[builder]),
        schedulers.ForceScheduler(
            name=APPROVE,
            buttonName="Approve a release",
            label="Approve a release",
            builderNames=[builder],
            codebases=[util.CodebaseParameter("", hide=True)],
            reason=util.StringParameter(name="reason", label="Reason", default="approved", size=40),
            properties=[
                util.StringParameter(
                    name="approve", label="Version of the candidate", required=True, regex=r"^\d+\.\d+\.\d+$"
                )
            ],
        ),
    ]


def _watches(project: Project, settings: Settings) -> bool:
    return bool(project.minios.upstream.watch) and not settings.lifeline
