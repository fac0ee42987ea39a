"""A matrix whose master ended in the middle: Buildbot builds it again, and this is what was left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.data.resultspec import Filter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


async def earlier_builds(master: Any, build: int) -> list[int]:
    """The builds of the same request before this one, by id: none, unless a master ended in the middle.

    Args:
        master: Buildbot's master.
        build: the id of this one.
    """
    found = await master.data.get(("builds", build))
    if found is None:
        return []
    builds = await master.data.get(("buildrequests", found["buildrequestid"], "builds"))
    return [other["buildid"] for other in builds if other["number"] < found["number"]]


async def cancel_left(master: Any, earlier: Sequence[int]) -> None:
    """Cancel the cells that earlier builds asked for: nobody hears of them, and they are asked for anew.

    Args:
        master: Buildbot's master.
        earlier: the ids of those builds.
    """
    for build in earlier:
        mine = [Filter("parent_buildid", "eq", [build]), Filter("complete", "eq", [False])]
        for buildset in await master.data.get(("buildsets",), filters=mine):
            its = [Filter("buildsetid", "eq", [buildset["bsid"]]), Filter("complete", "eq", [False])]
            for request in await master.data.get(("buildrequests",), filters=its):
                asked = ("buildrequests", request["buildrequestid"])
                await master.data.control("cancel", {"reason": "its matrix begins anew"}, asked)


def comes_back(worker: Mapping[str, Any]) -> bool:
    """Whether a worker that is not connected was here before, so that it will try to come back.

    Args:
        worker: as Buildbot's data API tells of it.
    """
    return bool(worker["workerinfo"]) and not worker["paused"]
