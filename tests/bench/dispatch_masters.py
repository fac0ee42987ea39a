"""The two masters of the dispatch bench: minios' own, and a plain Buildbot with as many shell steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import schedulers, steps, util, worker
from minios_master.configurator import MATRIX, MiniosConfigurator
from minios_master.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHELL_STEPS = 9
"""As many as a cell has steps that run: all from `probe` to `push` but `check`."""


class _MatrixAlone(MiniosConfigurator):
    """minios' master, without what follows the cells: a plain Buildbot releases nothing."""

    def configure(self, config_dict: dict[str, Any]) -> None:
        super().configure(config_dict)
        [matrix] = [made for made in config_dict["builders"] if made.name == MATRIX]
        for step in matrix.factory.steps:
            if "publish" in step.kwargs:
                step.kwargs["publish"] = None


class _TriggerCells(steps.Trigger):  # type: ignore[misc]
    """Buildbot's own step, with a build for each cell, as its manual shows."""

    def __init__(self, arches: Sequence[str], versions: Sequence[str], **kwargs: Any) -> None:
        super().__init__(
            schedulerNames=[f"build-{arch}" for arch in arches],
            waitForFinish=True,
            alwaysUseLatest=True,
            **kwargs,
        )
        self.arches = arches
        self.versions = versions

    def getSchedulersAndProperties(self) -> list[dict[str, Any]]:  # noqa: N802
        return [
            {
                "sched_name": f"build-{arch}",
                "props_to_set": {"version": version, "variant": "static"},
                "unimportant": False,
            }
            for version in self.versions
            for arch in self.arches
        ]


def ours(config: Path, state: Path) -> dict[str, Any]:
    """minios' configuration, as Buildbot takes it."""
    told: dict[str, Any] = {}
    # Its base folder is Buildbot's, as it is where a master is started by the command line.
    _MatrixAlone(Settings(config, state, state / "out", lifeline=True)).configure(told)
    return told


def plain(arches: Sequence[str], versions: Sequence[str], db: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Buildbot with a builder, a worker and a Triggerable for each CPU, and shell steps that do nothing.

    Args:
        arches: names of CPUs.
        versions: of the releases; a build for each pair.
        db: what Buildbot takes as `c['db']`; its own default when not given.
    """
    cell = [steps.ShellCommand(name=f"step{number}", command=["true"]) for number in range(SHELL_STEPS)]
    parent = [_TriggerCells(arches, versions)]
    return {
        "title": "plain",
        "buildbotNetUsageData": None,
        "db": db or {"db_url": "sqlite:///state.sqlite"},
        "protocols": {"null": {}},
        "workers": [worker.LocalWorker(name, max_builds=1) for name in ("coordinator", *arches)],
        "builders": [
            *(
                util.BuilderConfig(
                    name=arch,
                    workernames=[arch],
                    factory=util.BuildFactory(cell),
                    collapseRequests=False,
                )
                for arch in arches
            ),
            util.BuilderConfig(
                name=MATRIX,
                workernames=["coordinator"],
                factory=util.BuildFactory(parent),
                collapseRequests=False,
            ),
        ],
        "schedulers": [
            *(schedulers.Triggerable(name=f"build-{arch}", builderNames=[arch]) for arch in arches),
            schedulers.ForceScheduler(name=MATRIX, builderNames=[MATRIX]),
        ],
        "www": {"port": "tcp:0:interface=127.0.0.1", "plugins": {}},
        "buildbotURL": "http://127.0.0.1:1/",
    }
