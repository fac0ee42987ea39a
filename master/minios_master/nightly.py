"""The nightly: its builder, what starts it, and the steps it adds to a cell's build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import schedulers, util
from buildbot.process.results import SKIPPED

from minios_steps.known_failure import KnownFailure
from minios_steps.publish_changed import PublishChanged
from minios_steps.report_nightly import ReportNightly
from minios_steps.smoke_published import SmokePublished
from minios_steps.trigger_nightly import TriggerNightly

from .local_worker_names import COORDINATOR
from .nightly_scheduler import NightlyScheduler
from .notices.missing import away_since
from .remote.member import UNATTACHED_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.project import Project

    from .destination import Place
    from .settings import Settings

NIGHTLY = "nightly"
"""The name of the builder, of the scheduler's form, and of the property of a cell's build at night."""
TIMED = "every-night"
"""The scheduler that starts it by the clock."""


def known_failure_step() -> Any:
    """For a cell's build, after the key is known and nothing was found to reuse."""
    return KnownFailure(doStepIf=_may_be_known, hideStepIf=_is_skipped)


def retest_step(project: Project, arch: Arch, settings: Settings, place: Place, **more: Any) -> Any:
    """For a cell's build, after everything else; `more` are arguments of `SmokePublished`."""
    return SmokePublished(
        project=project,
        arch=arch,
        version=util.Property("version"),
        variant=util.Property("variant"),
        store=settings.store,
        layout=place.layout,
        work_root=settings.work,
        check_timeout=project.minios.smoke.timeout,
        timeout_factor=arch.timeout_factor,
        registry=place.registry,
        doStepIf=_is_to_be_tested,
        hideStepIf=_is_skipped,
        **more,
    )


def nightly_builder(
    project: Project, settings: Settings, publish: Callable[..., Any], factory: Callable[[list[Any]], Any]
) -> Any:
    """The builder.

    Args:
        project: the configuration.
        settings: has the folder of the report.
        publish: makes the step that releases a version and variant, of a class.
        factory: makes a build factory of steps.
    """
    nightly = project.minios.nightly
    its_steps = [
        TriggerNightly(
            project=project,
            name="nightly",
            publish=lambda version, variant: publish(version, variant, PublishChanged),
            versions=list(nightly.versions),
            variants=list(nightly.variants),
            arches=list(project.nightly_arches),
        ),
        ReportNightly(
            project=project,
            folder=settings.nightly,
            away=away_since,
            placeholders=[name + UNATTACHED_SUFFIX for name in project.arches],
        ),
    ]
    lock = util.MasterLock(NIGHTLY)
    return util.BuilderConfig(
        name=NIGHTLY,
        description="builds what changed, tests the released images again, and reports",
        workernames=[COORDINATOR],
        factory=factory(its_steps),
        # Two at once would each take the other's cells for what changed since last night.
        locks=[lock.access("exclusive")],
        collapseRequests=False,
    )


def nightly_schedulers(project: Project, settings: Settings) -> list[Any]:
    """The form, which the command line uses too, and the clock of a master that stays."""
    found = [
        schedulers.ForceScheduler(
            name=NIGHTLY,
            buttonName="Run the nightly now",
            label="Run the nightly now",
            builderNames=[NIGHTLY],
            codebases=[util.CodebaseParameter("", hide=True)],
            properties=[],
        )
    ]
    nightly = project.minios.nightly
    if nightly.enabled and not settings.lifeline:
        found.append(
            NightlyScheduler(name=TIMED, builderNames=[NIGHTLY], cron=nightly.cron, reason="nightly")
        )
    return found


def _may_be_known(step: Any) -> bool:
    return bool(step.getProperty("known_failures", None)) and not step.getProperty("reused", False)


def _is_to_be_tested(step: Any) -> bool:
    return bool(step.getProperty("reused", False) and step.getProperty(NIGHTLY, False))


def _is_skipped(results: int, _step: Any) -> bool:
    return bool(results == SKIPPED)
