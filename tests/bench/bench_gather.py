"""Gathering and releasing an index of a hundred cells, each with an image of its own, into a layout."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from instant import write_config
from table import Bound, Row

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_result import CellResult
from minios_steps.core.config.load import load_project
from minios_steps.core.oci.layout import Layout
from minios_steps.core.plan import plan_matrix
from minios_steps.core.release import Releaser
from minios_steps.core.release_layout import LayoutTarget

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from releasebed import put_candidate
from tinyelf import make_elf

if TYPE_CHECKING:
    from options import Options

BOUND = Bound(5, "s")
PROGRAM_BYTES = 1_000_000


def rows(options: Options) -> list[Row]:
    """Each image has a program of a megabyte, which is hashed and looked into like any other."""
    count = 20 if options.quick else 100
    project = load_project(write_config(options.folder / "config", count, 1))
    store = CandidateStore(options.folder / "store")
    plan = plan_matrix(project)
    # Bytes that no compression shrinks would only make the layers larger than real ones.
    results = []
    for number, cell in enumerate(plan.cells):
        machine = project.arches[cell.arch].elf.machines[0]
        program = make_elf(machine, kind=2) + f"{number:08}".encode() * (PROGRAM_BYTES // 8)
        record = put_candidate(store, project, cell, program=program)
        results.append(CellResult.built(cell, record.as_json(), reused=False))
    target = LayoutTarget(Layout(options.folder / "out"), store)
    times = []
    for _ in ("new", "unchanged"):
        started = time.monotonic()
        done = Releaser(project, store, target).publish(
            plan.cells[0].version, "static", results, list(plan.arches)
        )
        times.append(time.monotonic() - started)
        if done.report.outcome not in ("released", "unchanged"):
            raise RuntimeError(f"not released: {done.report.reasons}")
        options.say(f"index of {count} cells, {done.report.outcome}: {times[-1]:.2f} s")
    return [
        Row(
            f"gather and release of an index of {count} cells",
            f"{times[0]:.2f} s",
            bound=BOUND,
            judged=times[0],
        ),
        Row("the same again, unchanged", f"{times[1]:.2f} s", bound=BOUND, judged=times[1]),
    ]
