"""What a cell's build says of itself, read through Buildbot's data API."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED, SUCCESS, WARNINGS, statusToString

from minios_steps.core.policy import CellResult

if TYPE_CHECKING:
    from minios_steps.core.plan import Cell


async def child_result(master: Any, cell: Cell, brid: int, expired: str) -> CellResult:
    """The outcome of one cell.

    Args:
        master: Buildbot's master.
        cell: the cell that was asked for.
        brid: the id of its build request.
        expired: why it was cancelled for time; empty when it was not.
    """
    if expired:
        return CellResult.timed_out(cell, expired)
    builds = await master.data.get(("buildrequests", brid, "builds"))
    if not builds:
        return CellResult.failed(cell, "its build request ended without a build")
    # A lost worker makes several builds of one request; the last one counts.
    build = max(builds, key=lambda item: item["number"])
    properties = await master.data.get(("builds", build["buildid"], "properties"))
    seconds = 0.0
    if build["complete_at"] is not None:
        seconds = (build["complete_at"] - build["started_at"]).total_seconds()
    said = {name: value for name, (value, _source) in properties.items()}
    candidate = said.get("candidate")
    if build["results"] in (SUCCESS, WARNINGS) and candidate:
        return CellResult.built(cell, candidate, reused=bool(said.get("reused")), seconds=seconds)
    if build["results"] in (SUCCESS, WARNINGS):
        return CellResult.failed(cell, "its build ended well but made no candidate", seconds=seconds)
    key = str(said.get("cell_key", ""))
    default = "cancelled" if build["results"] == CANCELLED else f"build {statusToString(build['results'])}"
    reason = str(said.get("problem") or build["state_string"] or default)
    return dataclasses.replace(CellResult.failed(cell, reason, seconds=seconds), key=key)
