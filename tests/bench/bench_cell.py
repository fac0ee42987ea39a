"""One cell through the pipeline against the same work by hand, alternating, on this machine.

Run by `make bench`. Prints seconds and ratios; judges nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from by_hand import HandInputs, build_by_hand
from minios_master.local_probe import probe_local
from minios_master.machine import local_arches
from plain_path import path_without_ccache
from rich.console import Console
from rich.table import Table

from minios_steps.core import kconfig
from minios_steps.core.config.load import load_project
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.sources.fetch import fetch

ROOT = Path(__file__).resolve().parents[2]
MINIOS = [sys.executable, "-c", "from minios_master.cli.main import run; run()"]


def main() -> None:
    """Measure every arch this machine can build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arch", action="append", default=[])
    chosen = parser.parse_args()
    project = load_project(ROOT / "config")
    arches = chosen.arch or sorted(local_arches(project))
    jobs = os.cpu_count() or 1
    version = project.version("newest")
    release = project.sources.releases[str(version)]
    with tempfile.TemporaryDirectory(prefix="minios-bench-") as name:
        folder = Path(name)
        os.environ["PATH"] = path_without_ccache(folder / "bin")
        state = folder / "state"
        tarball = fetch(
            version,
            project.sources,
            cache=SourceCache(state / "cache" / "sources"),
            config_root=project.root,
            report=print,
            cancelled=lambda: False,
        ).path
        base = [*MINIOS, "--config", str(ROOT / "config"), "--state", str(state)]
        started = time.monotonic()
        subprocess.run([*base, "up"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        start_seconds = time.monotonic() - started
        try:
            table = _table(arches, chosen.rounds)
            for arch in arches:
                hand: list[float] = []
                pipeline: list[float] = []
                spec = project.arches[arch]
                asked = kconfig.merge(project.fragments(spec, "static", version))
                prefix = probe_local(spec, state / "cache").prefix
                inputs = HandInputs(
                    tarball=tarball,
                    patches=project.patches(version),
                    fragment="".join(f"{item.line}\n" for item in asked.values()),
                    make_arch=spec.busybox_arch,
                    prefix=prefix,
                    epoch=release.epoch,
                    jobs=jobs,
                )
                for round_number in range(chosen.rounds):
                    hand.append(build_by_hand(inputs, folder / f"{arch}-{round_number}"))
                    pipeline.append(_pipeline(base, folder, arch, jobs))
                ratios = [p / h for p, h in zip(pipeline, hand, strict=True)]
                table.add_row(
                    arch,
                    f"{statistics.median(hand):.1f} s",
                    f"{statistics.median(pipeline):.1f} s",
                    f"{statistics.median(ratios):.3f}",
                    f"{min(ratios):.3f}",
                    f"{max(ratios):.3f}",
                )
            memory = _peak_memory(state)
        finally:
            subprocess.run([*base, "down"], check=True, stdout=subprocess.DEVNULL)
    console = Console()
    machine = f"{platform.machine()}, {jobs} cores, {platform.system()} {platform.release()}"
    console.print(f"{machine}, BusyBox {version} static")
    console.print(table)
    console.print(
        f"master: start to ready {start_seconds:.1f} s, peak memory {memory:.0f} MB (local workers included)"
    )


def _table(arches: list[str], rounds: int) -> Table:
    table = Table(title=f"one cell, {rounds} alternating rounds, {len(arches)} arches", box=None)
    for name in ("arch", "by hand", "pipeline", "ratio", "least", "most"):
        table.add_column(name, justify="left" if name == "arch" else "right")
    return table


def _pipeline(base: list[str], folder: Path, arch: str, jobs: int) -> float:
    started = time.monotonic()
    command = [
        *base,
        "matrix",
        "--arch",
        arch,
        "--variant",
        "static",
        "--jobs",
        str(jobs),
        "--force",
        "--json",
    ]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def _peak_memory(state: Path) -> float:
    """The master's VmHWM, megabytes (Linux, proc(5))."""
    pid = json.loads((state / "run.json").read_text("utf-8"))["pid"]
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("no VmHWM")


if __name__ == "__main__":
    main()
