"""One master that runs matrices of instant cells and tells what they cost: the child of `bench_dispatch`.

Arguments: `ours`, `plain`, or `kept` (plain, with minios' kind of database); an empty folder; how many
arches, versions and rounds. Prints a JSON list, an entry a round: wall-clock and processor seconds of
this process (master and local workers, without what they start), its resident memory in megabytes,
and how many builds have ended well until then.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from buildbot.config.master import MasterConfig
from buildbot.interfaces import IConfigLoader
from buildbot.master import BuildMaster
from buildbot.process.results import SUCCESS, WARNINGS
from dispatch_masters import ours, plain
from instant import make_toolchain, write_config
from minios_master.configurator import MATRIX
from minios_master.database import database
from twisted.internet import defer, task
from zope.interface import implementer


@implementer(IConfigLoader)
class _Told:
    """A configuration that is no file."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    def loadConfig(self) -> Any:  # noqa: N802
        return MasterConfig.loadFromDict(self.told, "bench")


def _config(kind: str, folder: Path, arches: int, versions: int) -> dict[str, Any]:
    os.environ["PATH"] = make_toolchain(folder / "bin")
    config = write_config(folder / "config", arches, versions)
    if kind == "ours":
        return ours(config, folder / "state")
    names = [f"cpu{number}" for number in range(arches)]
    releases = [f"1.{number}.0" for number in range(versions)]
    return plain(names, releases, database() if kind == "kept" else None)


async def _measure(_reactor: Any, kind: str, folder: Path, arches: int, versions: int, rounds: int) -> None:
    basedir = folder / "state" / "master"
    basedir.mkdir(parents=True)
    told = _config(kind, folder, arches, versions)
    told.pop("services", None)  # The lifeline is for a master that somebody waits for.
    (basedir / "buildbot.tac").touch()
    master = BuildMaster(str(basedir), config_loader=_Told(told))
    master.config.db = MasterConfig.loadFromDict(told, "bench").db
    await master.db.setup(check_version=False)
    await master.db.model.upgrade()
    master.db.setup = lambda: defer.succeed(None)
    await master.startService()
    try:
        rows = [await _round(master, arches * versions, again=number > 0) for number in range(rounds)]
    finally:
        await master.stopService()
    sys.stdout.write(json.dumps(rows))


async def _round(master: Any, cells: int, *, again: bool) -> dict[str, float]:
    builder = await master.data.updates.findBuilderId(MATRIX)
    before = _used()
    started = time.monotonic()
    bsid, _ = await master.data.updates.addBuildset(
        waited_for=False,
        scheduler=MATRIX,
        sourcestamps=[{"codebase": "", "repository": "", "project": "", "branch": None, "revision": None}],
        reason="bench",
        properties={"force_rebuild": (again, "bench")},
        builderids=[builder],
    )
    await master.mq.waitUntilEvent(("buildsets", str(bsid), "complete"), lambda: _is_complete(master, bsid))
    wall = time.monotonic() - started
    used = _used() - before
    builds = await master.db.builds.getBuilds()
    good = sum(build.results in (SUCCESS, WARNINGS) for build in builds if build.builderid != builder)
    return {"wall": wall, "cpu": used, "rss": _memory(), "good": good, "cells": cells}


async def _is_complete(master: Any, bsid: int) -> bool:
    return bool((await master.db.buildsets.getBuildset(bsid)).complete)


def _used() -> float:
    told = resource.getrusage(resource.RUSAGE_SELF)
    return told.ru_utime + told.ru_stime


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


if __name__ == "__main__":
    kind, folder, *numbers = sys.argv[1:]
    task.react(_measure, (kind, Path(folder), *map(int, numbers)))
