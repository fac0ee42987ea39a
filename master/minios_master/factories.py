"""Build factories: the steps of a cell, and the steps of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import steps, util
from buildbot.process.results import SKIPPED

from minios_steps.core.plan import Cell, image_labels
from minios_steps.core.version import Version
from minios_steps.reuse_candidate import ReuseCandidate
from minios_steps.trigger_matrix import matrix_properties

from .local_worker_names import LOCAL_PREFIX
from .remote.member_workers import WORKER_JOBS
from .stoppable_build import StoppableBuild

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.project import Project

    from .settings import Settings

VERSION = util.Property("version")
VARIANT = util.Property("variant")


def _cell(properties: Any, arch: str) -> Cell:
    return Cell(Version.parse(properties.getProperty("version")), properties.getProperty("variant"), arch)


def _not_reused(step: Any) -> bool:
    return not step.getProperty("reused", False)


def _is_skipped(results: int, _step: Any) -> bool:
    return bool(results == SKIPPED)


def _factory(its_steps: list[Any]) -> Any:
    factory = util.BuildFactory(its_steps)
    factory.buildClass = StoppableBuild
    return factory


def arch_factory(project: Project, arch: Arch, settings: Settings, compile_lock: Any) -> Any:
    """The steps that make one cell of an arch; the properties say which version and variant."""

    @util.renderer  # type: ignore[untyped-decorator]
    def fragments(properties: Any) -> Any:
        cell = _cell(properties, arch.name)
        return project.fragments(arch, cell.variant, cell.version)

    @util.renderer  # type: ignore[untyped-decorator]
    def labels(properties: Any) -> Any:
        return dict(image_labels(project, _cell(properties, arch.name)))

    @util.renderer  # type: ignore[untyped-decorator]
    def jobs(properties: Any) -> Any:
        """As the build was asked, else as the worker was invited, else as configured."""
        told = (properties.getProperty(name, 0) for name in ("jobs", WORKER_JOBS))
        return next(filter(None, told), project.workers.local.jobs)

    @util.renderer  # type: ignore[untyped-decorator]
    def locks(properties: Any) -> Any:
        # Only this machine's own workers share its cores.
        local = str(properties.getProperty("workername")).startswith(LOCAL_PREFIX)
        return [compile_lock.access("counting")] if local else []

    cell = {"version": VERSION, "variant": VARIANT}
    fresh: dict[str, Any] = {
        "doStepIf": _not_reused,
        "hideStepIf": _is_skipped,
        "timeout_factor": arch.timeout_factor,
    }
    return _factory(
        [
            steps.ProbeToolchain(arch=arch, timeout_factor=arch.timeout_factor),
            ReuseCandidate(project=project, arch=arch.name, store=settings.store, **cell),
            steps.FetchSource(
                version=VERSION,
                sources=project.sources,
                config_root=project.root,
                cache=settings.cache,
                **fresh,
            ),
            steps.ConfigureBusyBox(
                arch=arch,
                fragments=fragments,
                work_root=settings.work,
                base=project.minios.kconfig_base,
                **fresh,
            ),
            steps.CompileBusyBox(
                arch=arch,
                jobs=jobs,
                locks=locks,
                **fresh,
            ),
            steps.StageRootfs(
                arch=arch,
                variant=VARIANT,
                skeleton=project.skeleton,
                work_root=settings.work,
                **fresh,
            ),
            steps.SmokeTest(arch=arch, variant=VARIANT, check_timeout=project.minios.smoke.timeout, **fresh),
            steps.BuildImage(
                arch=arch,
                variant=VARIANT,
                labels=labels,
                command=project.minios.image.command,
                **fresh,
            ),
            steps.PushImage(store=settings.store, arch=arch.name, **cell, **fresh),
        ]
    )


def matrix_factory(project: Project, settings: Settings, layout: Path) -> Any:
    """The steps of the parent build: fan out, gather, then publish each release."""

    def publish(version: str, variant: str) -> Any:
        return steps.PublishManifest(
            project=project, version=version, variant=variant, store=settings.store, layout=layout
        )

    return _factory(
        [
            steps.TriggerMatrix(
                project=project,
                publish=publish,
                child_properties={
                    "jobs": util.Property("jobs", default=0),
                    "force_rebuild": util.Property("force_rebuild", default=False),
                },
                **matrix_properties(),
            )
        ]
    )
