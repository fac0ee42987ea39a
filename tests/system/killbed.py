"""A real Buildbot master that does nothing but release: two releases of prebuilt candidates, in turns.

`configure` is what its `master.cfg` calls; the test starts it, and kills it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.api import MasterApi
from registryhouse import RegistryHouse
from releasebed import ALL

from minios_steps.core.config.load import load_project
from minios_steps.core.registry.claim import Holder, Times

if TYPE_CHECKING:
    from minios_steps.core.config.destination import RegistryDestination

RELEASES = ("one", "two")
START_SECONDS = 60
_BUILDBOT = "import sys; from buildbot.scripts.runner import run; sys.exit(run())"
_TAC = """\
import os
from buildbot.master import BuildMaster
from twisted.application import service
application = service.Application('buildmaster')
BuildMaster(os.getcwd(), 'master.cfg').setServiceParent(application)
"""
_CFG = """\
import sys
sys.path[:0] = {paths!r}
from killbed import configure
BuildmasterConfig = configure({folder!r}, {port})
"""


class ReleaseMaster:
    """The master, and the two releases that it can make.

    Args:
        folder: everything is in it.
        host: of the registry.
        port: for the web interface.
    """

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.folder = folder
        self.base = folder / "master"
        self.base.mkdir(parents=True)
        self.houses = {
            name: RegistryHouse(folder / name, host, title=name, more="  on_race: rebase\n")
            for name in RELEASES
        }
        for name, house in self.houses.items():
            cells = [result.as_json() for result in house.good(*ALL)]
            (folder / f"{name}.json").write_text(json.dumps(cells), "utf-8")
        here = Path(__file__).parent
        paths = [str(here), str(here.parent)]
        (self.base / "master.cfg").write_text(
            _CFG.format(paths=paths, folder=str(folder), port=port), "utf-8"
        )
        (self.base / "buildbot.tac").write_text(_TAC, "utf-8")
        self.api = MasterApi(f"http://127.0.0.1:{port}/")
        self.process: subprocess.Popen[bytes] | None = None
        self._buildbot("upgrade-master", "--quiet").wait(START_SECONDS)

    def _buildbot(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "console").open("ab") as console:
            return subprocess.Popen(
                [sys.executable, "-c", _BUILDBOT, *words, str(self.base)],
                cwd=self.base,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self) -> None:
        (self.base / "twistd.pid").unlink(missing_ok=True)
        self.process = self._buildbot("start", "--nodaemon")
        deadline = time.monotonic() + START_SECONDS
        while not self.api.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the master did not start:\n{(self.folder / 'console').read_text()[-3000:]}")
            time.sleep(0.02)

    def begin(self, name: str) -> int:
        """Ask for a release; the id of its build request."""
        _, requests = self.api.control(f"forceschedulers/{name}", "force", owner="test", reason="a test")
        return int(next(iter(requests.values())))

    def finish(self, brid: int) -> dict[str, Any]:
        """Wait until a release has ended; its report."""
        deadline = time.monotonic() + START_SECONDS
        while not self.api.request(brid)["complete"]:
            if time.monotonic() > deadline:
                pytest.fail("the release did not end in time")
            time.sleep(0.02)
        build = self.api.build_of_request(brid)
        assert build
        (report,) = self.api.properties(build["buildid"])["releases"]
        assert isinstance(report, dict)
        return report

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        assert self.process
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(START_SECONDS)
        self.process = None


def configure(folder: str, port: int) -> dict[str, Any]:
    """What `master.cfg` says: a builder and a force scheduler for each release."""
    from buildbot.plugins import schedulers, steps, util, worker  # noqa: PLC0415  # in the master only

    root = Path(folder)
    builders, forces = [], []
    for name in RELEASES:
        project = load_project(root / name / "config")
        registry: RegistryDestination = project.minios.destination  # type: ignore[assignment]
        cells = json.loads((root / f"{name}.json").read_text("utf-8"))
        publish = steps.PublishManifest(
            project=project,
            version="1.38.0",
            variant="static",
            store=root / name / "store",
            registry=registry,
            holder=Holder("kill-test", "minios in a test"),
            claim=Times(settle=0.05, within=20),
        )
        builders.append(
            util.BuilderConfig(
                name=name,
                workernames=["coordinator"],
                factory=util.BuildFactory([publish]),
                properties={"cells": cells, "asked_arches": list(ALL)},
            )
        )
        forces.append(schedulers.ForceScheduler(name=name, builderNames=[name]))
    return {
        "title": "kill test",
        "buildbotURL": f"http://127.0.0.1:{port}/",
        "buildbotNetUsageData": None,
        "db": {"db_url": "sqlite:///state.sqlite"},
        "protocols": {"null": {}},
        "workers": [worker.LocalWorker("coordinator")],
        "builders": builders,
        "schedulers": forces,
        "www": {"port": f"tcp:{port}:interface=127.0.0.1"},
    }
