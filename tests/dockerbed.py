"""A real master with local workers that builds, tries and pushes prebuilt layers on a real Docker engine."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from buildbot.plugins import schedulers, steps, util, worker
from buildbot.process.results import SUCCESS
from buildbot.test.util.integration import RunMasterBase
from twisted.internet import defer

from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.model import RawManifest
from minios_steps.core.tarball import LayerFile
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.config.arch import Arch
    from minios_steps.core.oci.layout import Layout

LABELS = {
    keys.TITLE: "minios",
    keys.DESCRIPTION: "a \"quoted\" $HOME, a back\\slash, a 'tick' and an é",
}


class Prebuilt(MiniosStep):
    """Stands in for all that comes before the image: a layer that was built before.

    Args:
        layer: the layer.
        applets: the names its BusyBox has, a line each.
        config: its `.config`.
        key: the cell's key.
        inputs: what the key is of.
        work_root: the master's scratch folder.
    """

    name = "prebuilt"

    def __init__(
        self,
        *,
        layer: LayerFile,
        applets: str,
        config: str,
        key: str,
        inputs: dict[str, Any],
        work_root: Path,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.layer = layer
        self.applets = applets
        self.config = config
        self.key = key
        self.inputs = inputs
        self.work_root = work_root

    async def work(self) -> int:
        folder = self.scratch(self.work_root, fresh=True)
        shutil.copy(self.layer.path, folder / "layer.tar.gz")
        layer = {**self.layer.as_json(), "path": str(folder / "layer.tar.gz")}
        (folder / "applets.txt").write_text(self.applets, "utf-8")
        (folder / "dot.config").write_text(self.config, "utf-8")
        for name, value in {
            "layer": layer,
            "cell_key": self.key,
            "cell_inputs": json.dumps(self.inputs),
            "source_sha256": "c" * 64,
            "version": "1.38.0",
        }.items():
            self.setProperty(name, value, self.name)
        return int(SUCCESS)


def layer_of(layout: Layout, record: CellRecord) -> LayerFile:
    """The layer of a candidate in a store."""
    [layer] = RawManifest.parse(layout.read(record.descriptor.digest)).layers
    # The steps need neither the digest nor the size of the tar inside.
    return LayerFile(layout.blob_path(layer.digest), layer.digest, layer.digest, layer.size, 0)


def destination(host: str, **more: Any) -> RegistryDestination:
    return RegistryDestination(kind="registry", repository=f"{host}/team/minios", **more)


def engine_steps(
    folder: Path, arch: Arch, before: MiniosStep, registry: RegistryDestination, **login: Any
) -> dict[str, Any]:
    """The steps of a cell that a Docker engine builds, by name and in order."""
    cell = {"arch": arch, "variant": "static"}
    return {
        "before": before,
        "image": steps.BuildImage(**cell, labels=LABELS, backend="docker"),
        "smoke": steps.SmokeImage(arch=arch),
        "worker": steps.PushFromWorker(**cell, registry=registry, **login),
        "push": steps.PushImage(store=folder / "store", arch=arch.name, version="1.38.0", variant="static"),
        "remove": steps.RemoveImage(),
    }


class EngineCase(RunMasterBase):
    """Builders named after arches, each with a local worker of its own; all are started together."""

    timeout = 300
    folder: Path
    """Set by a fixture of the test's own."""

    async def start(self, builders: dict[str, dict[str, Any]]) -> None:
        """Start the master; `builders` has the steps of each builder."""
        config = {
            "protocols": {"null": {}},
            "workers": [
                worker.LocalWorker(f"local-{name}", max_builds=1, missing_timeout=0) for name in builders
            ],
            "builders": [
                util.BuilderConfig(
                    name=name, workernames=[f"local-{name}"], factory=util.BuildFactory(list(made.values()))
                )
                for name, made in builders.items()
            ],
            "schedulers": [schedulers.ForceScheduler(name="force", builderNames=list(builders))],
            "www": {},
        }
        await self.setup_master(config, startWorker=False, basedir=str(self.folder / "master"))

    async def build(self) -> dict[str, dict[str, Any]]:
        """Build with every builder at once; each build with its properties and steps, by builder."""
        await self.doForceBuild()
        names = {b["builderid"]: b["name"] for b in await self.master.data.get(("builders",))}
        newest: dict[str, dict[str, Any]] = {}
        for build in await self.master.data.get(("builds",)):
            build["properties"] = {
                name: value
                for name, (value, _) in (
                    await self.master.data.get(("builds", build["buildid"], "properties"))
                ).items()
            }
            build["steps"] = {
                step["name"]: step
                for step in await self.master.data.get(("builds", build["buildid"], "steps"))
            }
            name = names[build["builderid"]]
            if name not in newest or build["number"] > newest[name]["number"]:
                newest[name] = build
        return newest

    async def stop_at(self, step: str) -> defer.Deferred[Any]:
        """Cancel a build as soon as it begins a step."""

        def started(_key: Any, told: dict[str, Any]) -> None:
            if told["name"] == step:
                defer.ensureDeferred(
                    self.master.data.control("stop", {"reason": "pressed"}, ("builds", str(told["buildid"])))
                )

        return await self.master.mq.startConsuming(started, ("steps", None, "started"))
