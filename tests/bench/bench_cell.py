"""The cold matrix, cell by cell, against the same work typed by hand, alternating.

The pipeline's figure is that of a whole `minios matrix --force` on a master that is up: command line,
Buildbot, smoke test, packing and release included. ccache is hidden from it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from by_hand import HandInputs, build_by_hand
from minios_master.local_probe import probe_local
from options import Ratios, median
from pipeline import ROOT, arches_of, make_pipeline, tarball
from plain_path import path_without_ccache
from table import Bound, Row

from minios_steps.core import kconfig
from minios_steps.core.config.load import load_project

if TYPE_CHECKING:
    from options import Options

    from minios_steps.core.config.project import Project

BOUND = Bound(1.03)


def rows(options: Options) -> list[Row]:
    """Each arch, then all of them one after the other; then the master's start and memory."""
    project = load_project(ROOT / "config")
    arches = arches_of(options, project)
    jobs = os.cpu_count() or 1
    path = path_without_ccache(options.folder / "bin")
    pipeline = make_pipeline(options, options.folder / "pipeline", path=path)
    hand: dict[str, list[float]] = {arch: [] for arch in arches}
    ours: dict[str, list[float]] = {arch: [] for arch in arches}
    with pipeline.up() as start_seconds:
        for number in range(options.rounds):
            for arch in arches:
                inputs = _hand_inputs(project, arch, options, jobs)
                hand[arch].append(build_by_hand(inputs, options.folder / f"hand-{arch}-{number}", path))
                words = ("--arch", arch, "--variant", "static", "--jobs", str(jobs), "--force")
                ours[arch].append(pipeline.matrix(*words).seconds)
                options.say(f"{arch}: by hand {hand[arch][-1]:.1f} s, minios {ours[arch][-1]:.1f} s")
        memory = _peak_memory(pipeline.state)
    found = []
    if len(arches) > 1:
        sums = Ratios(_sums(hand, options.rounds), _sums(ours, options.rounds))
        found.append(_row(f"cold matrix of {len(arches)} CPUs; the commands typed by hand", sums, BOUND))
    found += [
        _row(
            f"cold cell, {arch}; the commands typed by hand",
            Ratios(hand[arch], ours[arch]),
            None if found else BOUND,
        )
        for arch in arches
    ]
    return [
        *found,
        Row("master, start to ready", f"{start_seconds:.1f} s"),
        Row("master, peak memory with its local workers", f"{memory:.0f} MB"),
    ]


def _sums(told: dict[str, list[float]], rounds: int) -> list[float]:
    """Of all arches together, for each round."""
    return [sum(seconds[number] for seconds in told.values()) for number in range(rounds)]


def _row(what: str, ratios: Ratios, bound: Bound | None = None) -> Row:
    return Row(
        what,
        baseline=f"{median(ratios.baseline):.1f} s",
        ours=f"{median(ratios.ours):.1f} s",
        ratio=ratios.middle,
        bound=bound,
        least=ratios.least,
        most=ratios.most,
    )


def _hand_inputs(project: Project, arch: str, options: Options, jobs: int) -> HandInputs:
    spec = project.arches[arch]
    version = project.version("newest")
    asked = kconfig.merge(project.fragments(spec, "static", version))
    return HandInputs(
        tarball=tarball(project, options),
        patches=project.patches(version),
        fragment="".join(f"{item.line}\n" for item in asked.values()),
        make_arch=spec.busybox_arch,
        prefix=probe_local(spec, options.cache).prefix,
        epoch=project.sources.releases[str(version)].epoch,
        jobs=jobs,
    )


def _peak_memory(state: Path) -> float:
    """The master's VmHWM, megabytes (Linux, proc(5))."""
    pid = json.loads((state / "run.json").read_text("utf-8"))["pid"]
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("no VmHWM")
