"""Build factories: the steps of a cell, and the steps of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import steps, util
from buildbot.process.results import SKIPPED, SUCCESS

from minios_steps.core.plan import Cell, image_labels
from minios_steps.core.version import Version
from minios_steps.decide_release import ApproveRelease, DecideRelease
from minios_steps.report_drift import ReportDrift
from minios_steps.reuse_candidate import ReuseCandidate
from minios_steps.trigger_matrix import matrix_properties

from .identity import holder_of
from .lean_build import LeanBuild
from .local_worker_names import LOCAL_PREFIX
from .nightly import known_failure_step, nightly_builder, retest_step
from .remote.member_workers import WORKER_JOBS
from .stoppable_build import StoppableBuild

if TYPE_CHECKING:
    from collections.abc import Callable

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.project import Project

    from .destination import Place
    from .settings import Settings

VERSION = util.Property("version")
VARIANT = util.Property("variant")


def _cell(properties: Any, arch: str) -> Cell:
    return Cell(Version.parse(properties.getProperty("version")), properties.getProperty("variant"), arch)


def _is_local(properties: Any) -> bool:
    return str(properties.getProperty("workername")).startswith(LOCAL_PREFIX)


def _not_reused(step: Any) -> bool:
    return not step.getProperty("reused", False)


def _by_engine(step: Any) -> bool:
    """Whether the worker's Docker engine makes the image."""
    return _not_reused(step) and bool(step.getProperty("backend", "oci") == "docker")


def _on_engine(step: Any) -> bool:
    """Whether something of this build may be on the worker's Docker engine."""
    return bool(step.getProperty("docker_names", None))


def _clean_check(step: Any) -> bool:
    return _not_reused(step) and bool(step.getProperty("clean_check", False))


def _is_skipped(results: int, _step: Any) -> bool:
    return bool(results == SKIPPED)


def _is_dull(results: int, _step: Any) -> bool:
    return bool(results in (SKIPPED, SUCCESS))


def _factory(its_steps: list[Any], kind: type = StoppableBuild) -> Any:
    factory = util.BuildFactory(its_steps)
    factory.buildClass = kind
    return factory


def password_of(place: Place) -> Any:
    """The password of a registry, as Buildbot gives it to a step that runs; None where there is none."""
    return _secret(place.registry.password_secret) if place.registry else None


def _secret(name: str) -> Any:
    """A secret by its name; None where there is no name."""
    return util.Secret(name) if name else None


def arch_factory(project: Project, arch: Arch, settings: Settings, place: Place, compile_lock: Any) -> Any:
    """The steps that make one cell of an arch; the properties say which version and variant."""

    @util.renderer  # type: ignore[untyped-decorator]
    def fragments(properties: Any) -> Any:
        cell = _cell(properties, arch.name)
        return project.fragments(arch, cell.variant, cell.version)

    @util.renderer  # type: ignore[untyped-decorator]
    def sources(properties: Any) -> Any:
        return project.sources_of(_cell(properties, arch.name).version)

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
        return [compile_lock.access("counting")] if _is_local(properties) else []

    @util.renderer  # type: ignore[untyped-decorator]
    def trees(properties: Any) -> Any:
        # This machine's own workers have their folders side by side, and share what is beside them.
        return "../.." if _is_local(properties) else ".."

    cell = {"version": VERSION, "variant": VARIANT}
    fresh: dict[str, Any] = {
        "doStepIf": _not_reused,
        "hideStepIf": _is_skipped,
        "timeout_factor": arch.timeout_factor,
    }
    between, last = _engine_steps(project, arch, place, fresh)
    return _factory(
        [
            steps.ProbeToolchain(arch=arch, cache=settings.cache, timeout_factor=arch.timeout_factor),
            ReuseCandidate(
                project=project,
                arch=arch.name,
                store=settings.store,
                backend=util.Property("backend", default=""),
                registry=place.registry is not None,
                **cell,
            ),
            known_failure_step(),
            steps.FetchSource(
                version=VERSION,
                sources=sources,
                config_root=project.root,
                cache=settings.cache,
                trees=trees,
                kept=util.Interpolate(
                    f"{arch.name} {arch.busybox_arch} {project.minios.kconfig_base} %(prop:variant)s"
                ),
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
            steps.CheckKept(
                arch=arch,
                jobs=jobs,
                locks=locks,
                **{**fresh, "doStepIf": _clean_check},
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
                backend=util.Property("backend"),
                **fresh,
            ),
            *between,
            steps.PushImage(
                store=settings.store,
                arch=arch.name,
                registry=place.registry,
                registry_root=project.root,
                password=password_of(place),
                **cell,
                # A reused candidate may be gone from the registry.
                **(fresh if place.registry is None else {"timeout_factor": arch.timeout_factor}),
            ),
            retest_step(project, arch, settings, place, password=password_of(place)),
            *last,
        ],
        LeanBuild,
    )


def _engine_steps(project: Project, arch: Arch, place: Place, fresh: dict[str, Any]) -> Any:
    """What follows an image that the worker's Docker engine has built, and what ends such a build."""
    if place.registry is None:
        return [], []
    login = place.registry.workers.get(arch.name)
    common = {**fresh, "doStepIf": _by_engine}
    between = [
        steps.SmokeImage(arch=arch, check_timeout=project.minios.smoke.timeout, **common),
        steps.PushFromWorker(
            arch=arch,
            variant=VARIANT,
            command=project.minios.image.command,
            registry=place.registry,
            registry_root=project.root,
            password=password_of(place),
            worker_username=login.username if login else "",
            worker_password=util.Secret(login.password_secret) if login else None,
            **common,
        ),
    ]
    # Hidden when all is well, so that the last word of a cell is about its candidate.
    return between, [steps.RemoveImage(**{**fresh, "doStepIf": _on_engine, "hideStepIf": _is_dull})]


def matrix_factory(project: Project, settings: Settings, place: Place) -> Any:
    """The steps of the parent build: fan out, gather, then publish each release, one at a time."""
    publish = _publisher(project, settings, place)
    return _factory(
        [
            ApproveRelease(project=project, hideStepIf=_is_skipped),
            ReportDrift(project=project, cache=settings.cache, hideStepIf=_is_skipped),
            steps.TriggerMatrix(
                project=project,
                publish=publish,
                child_properties={
                    "jobs": util.Property("jobs", default=0),
                    "force_rebuild": util.Property("force_rebuild", default=False),
                    "backend": util.Property("backend", default=""),
                    "clean_check": util.Property("clean_check", default=False),
                },
                **matrix_properties(),
            ),
            DecideRelease(project=project, publish=publish, hideStepIf=_is_skipped),
        ]
    )


def nightly_parent(project: Project, settings: Settings, place: Place) -> Any:
    """The builder of the nightly, which releases into the same place."""
    return nightly_builder(project, settings, _publisher(project, settings, place), _factory)


def _publisher(project: Project, settings: Settings, place: Place) -> Callable[..., Any]:
    """What makes the step that releases a version and variant, of a class."""
    holder = holder_of(settings.state) if place.registry else None
    lock = util.MasterLock(f"publish {place.name}")

    def publish(version: str, variant: str, step: Any = steps.PublishManifest) -> Any:
        return step(
            project=project,
            version=version,
            variant=variant,
            store=settings.store,
            layout=place.layout,
            registry=place.registry,
            password=password_of(place),
            signing_key=_secret(project.minios.signing.key_secret),
            signing_password=_secret(project.minios.signing.password_secret),
            holder=holder,
            locks=[lock.access("exclusive")],
        )

    return publish
