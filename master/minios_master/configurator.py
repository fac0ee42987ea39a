"""`MiniosConfigurator`: the configuration folder becomes workers, builders, schedulers and web."""

from __future__ import annotations

import datetime as dt
import os
import secrets
from typing import TYPE_CHECKING, Any

from buildbot.config import error
from buildbot.configurators import ConfiguratorBase
from buildbot.plugins import schedulers, util, worker
from buildbot.secrets.providers.file import SecretInAFile
from twisted.python import log

from minios_steps.core.config.base import BACKENDS
from minios_steps.core.errors import ConfigError, MiniosError
from minios_steps.trigger_matrix import scheduler_name

from .database import database
from .destination import place_of
from .factories import arch_factory, matrix_factory, nightly_parent
from .lifeline import Lifeline
from .local_worker import PromptLocalWorker
from .local_worker_names import COORDINATOR, LOCAL_PREFIX
from .machine import local_arches
from .nightly import NIGHTLY, nightly_schedulers
from .notices.reporters import notice_reporters
from .projects import open_project
from .property_writes import PropertyWrites
from .remote.folders import RemoteFolder
from .remote.gate import BUILDBOT_PORT, Gate
from .remote.losses import LossWatch, steadiest
from .remote.member import UNATTACHED_SUFFIX
from .remote.member_workers import member_worker, working
from .remote.probing import FirstProbe, probe_builder, probe_scheduler
from .settings import Settings, free_port
from .upstream import upstream_schedulers, upstream_sources
from .web_answers import answer_in_reactor

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project

    from .destination import Place

MATRIX = "matrix"
"""The name of the parent builder and of its force scheduler."""


class MiniosConfigurator(ConfiguratorBase):  # type: ignore[misc]
    """Everything `master.cfg` needs, from the configuration folder.

    Args:
        settings: folders and port; from the environment when not given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self._given = settings

    def configure(self, config_dict: dict[str, Any]) -> None:
        """Fill Buildbot's configuration; what is wrong with ours are Buildbot's errors, one each."""
        super().configure(config_dict)
        try:
            self.settings = self._given or Settings.from_environment(os.environ)
            project = open_project(self.settings)
            self._add_all(project, config_dict)
        except ConfigError as problem:
            for line in (problem.details or str(problem)).splitlines():
                error(line)
        except MiniosError as problem:
            error(str(problem))

    def _add_all(self, project: Project, config_dict: dict[str, Any]) -> None:
        place = place_of(project, self.settings, self.settings.state.parent)
        config_dict.setdefault("title", "minios")
        config_dict.setdefault("buildbotNetUsageData", None)
        config_dict.setdefault("db", database())
        self.protocols.setdefault("null", {})
        self._remote = RemoteFolder(self.settings.remote)
        self._members = self._remote.roster.members()
        for damaged in self._remote.roster.problems():
            log.msg(f"this remote worker is left out: {damaged}")
        self._add_workers(project)
        self._add_builders(project, place)
        self._add_schedulers(project)
        self.schedulers.extend(upstream_schedulers(project, self.settings, MATRIX))
        self.schedulers.extend(nightly_schedulers(project, self.settings))
        config_dict.setdefault("change_source", []).extend(upstream_sources(project, self.settings))
        self._add_web(project, config_dict)
        self._add_secrets(config_dict)
        services = config_dict.setdefault("services", [])
        services.append(PropertyWrites())
        if self.settings.lifeline:
            # Whoever started it sees what happens, and it is gone before another machine could come in.
            services.append(Lifeline())
        else:
            services.extend(notice_reporters(project, MATRIX, NIGHTLY))
            remote = project.workers.remote
            services.append(FirstProbe(self.settings.remote))
            services.append(Gate(remote.interface, remote.port, self.settings.remote))
            services.append(LossWatch())
        util.JanitorConfigurator(
            logHorizon=dt.timedelta(weeks=4), buildDataHorizon=dt.timedelta(weeks=12), hour=4
        ).configure(config_dict)

    def _add_workers(self, project: Project) -> None:
        self._local = set(local_arches(project))
        self.workers.append(PromptLocalWorker(COORDINATOR))
        for name in project.nightly_arches:
            if name in self._local:
                self.workers.append(PromptLocalWorker(LOCAL_PREFIX + name, max_builds=1))
            elif not self._working(project, name):
                # A place for a machine that is not attached yet; nobody knows its password.
                self.workers.append(worker.Worker(name + UNATTACHED_SUFFIX, secrets.token_urlsafe(32)))
        members = [member for member in self._members if member.may_work]
        if members:
            self.protocols.setdefault("pb", {"port": BUILDBOT_PORT})
            self.schedulers.append(probe_scheduler(members))
        self.workers.extend(member_worker(member, self._remote.inner_key()) for member in members)
        self.builders.extend(probe_builder(member, project, self.settings) for member in members)

    def _working(self, project: Project, arch: str) -> list[str]:
        return [member.name for member in working(self._members, arch, project, self._remote)]

    def _workers_of(self, project: Project, arch: str) -> list[str]:
        """The names of an arch's workers: this machine's, those of others, or the place of a missing one."""
        local = [LOCAL_PREFIX + arch] if arch in self._local else []
        return local + self._working(project, arch) or [arch + UNATTACHED_SUFFIX]

    def _add_secrets(self, config_dict: dict[str, Any]) -> None:
        """Buildbot reads them at its start, and refuses a file that others may read."""
        folder = self.settings.secrets
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config_dict.setdefault("secretsProviders", []).append(SecretInAFile(str(folder)))

    def _add_builders(self, project: Project, place: Place) -> None:
        lock = util.MasterLock("local-compile", maxCount=project.workers.local.parallel)
        for name in project.nightly_arches:
            arch = project.arches[name]
            self.builders.append(
                util.BuilderConfig(
                    name=name,
                    description=arch.description or f"BusyBox for {arch.platform.platform}",
                    workernames=self._workers_of(project, name),
                    factory=arch_factory(project, arch, self.settings, place, lock),
                    properties={"arch": name},
                    tags=[project.role(name)],
                    nextWorker=steadiest,
                    collapseRequests=False,
                )
            )
        self.builders.append(
            util.BuilderConfig(
                name=MATRIX,
                description="every version, variant and arch; then one index per release",
                workernames=[COORDINATOR],
                factory=matrix_factory(project, self.settings, place),
                collapseRequests=False,
            )
        )
        self.builders.append(nightly_parent(project, self.settings, place))

    def _add_schedulers(self, project: Project) -> None:
        for name in project.nightly_arches:
            self.schedulers.append(schedulers.Triggerable(name=scheduler_name(name), builderNames=[name]))
        pinned = sorted(project.sources.releases)
        self.schedulers.append(
            schedulers.ForceScheduler(
                name=MATRIX,
                buttonName="Build the matrix",
                label="Build the matrix",
                builderNames=[MATRIX],
                codebases=[util.CodebaseParameter("", hide=True)],
                properties=[
                    # A candidate may be named too: the plan knows what there is.
                    _choices("versions", "Versions (none: as configured)", [*pinned, "newest"], strict=False),
                    _choices("variants", "Variants (none: as configured)", ["static", "dynamic"]),
                    _choices("arches", "Arches (none: as configured)", sorted(project.nightly_arches)),
                    util.IntParameter(name="jobs", label="make -j (0: as configured)", default=0),
                    util.BooleanParameter(
                        name="force_rebuild", label="Build even what was built before", default=False
                    ),
                    util.ChoiceStringParameter(
                        name="backend",
                        label="Images made by (none: as configured)",
                        choices=["", *BACKENDS],
                        default="",
                        strict=True,
                        required=False,
                    ),
                    util.BooleanParameter(
                        name="clean_check", label="Compare kept objects with a clean build", default=False
                    ),
                ],
            )
        )

    def _add_web(self, project: Project, config_dict: dict[str, Any]) -> None:
        web = project.minios.web
        port = self.settings.web_port or web.port or free_port(web.interface)
        self.www.setdefault("port", f"tcp:{port}:interface={web.interface}")
        self.www.setdefault("plugins", {})
        config_dict.setdefault("buildbotURL", f"http://{web.interface}:{port}/")
        answer_in_reactor()


def _choices(name: str, label: str, choices: list[str], *, strict: bool = True) -> Any:
    return util.ChoiceStringParameter(
        name=name, label=label, choices=choices, default=[], multiple=True, strict=strict, required=False
    )
