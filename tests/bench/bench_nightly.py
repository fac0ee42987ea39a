"""An unchanged nightly: how long it takes, and what it costs the master."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from minios_master.api import MasterApi
from pipeline import seed
from table import Bound, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from options import Options

ROOT = Path(__file__).resolve().parents[2]
MINIOS = [sys.executable, "-c", "from minios_master.cli.main import run; run()"]
ARCHES = ("x86_64", "aarch64", "riscv64")
VERSIONS = ("1.38.0", "1.37.0")
VARIANTS = ("static", "dynamic")
POLL_SECONDS = 1.0
"""How often the end is looked for: each look costs the master some milliseconds."""
FEW = ("ASH", "SH_IS_ASH", "FEATURE_SH_MATH", "BUSYBOX", "CAT", "ECHO", "ENV", "LS", "SHA256SUM", "TR")


@dataclass(frozen=True)
class NightRow:
    """A nightly in which nothing changed.

    Args:
        cells: that it tested again.
        seconds: of the clock.
        cpu: seconds of processor time of the master's process, without those it started: the smoke
            tests' programs are not in it, what the workers inside the master do is.
        written: files of the released layout that it changed.
        compiled: cells that it compiled.
    """

    cells: int
    seconds: float
    cpu: float
    written: int
    compiled: int


def rows(options: Options) -> list[Row]:
    """The master's processor time in a night in which nothing changed.

    Raises:
        RuntimeError: a cell is not good.
    """
    seed(options)
    nights = nightly_rows(options.folder, cache=options.cache, few_applets=options.quick)
    cells = nights[0].cells
    applets = "few applets" if options.quick else "all applets"
    cpu = median(night.cpu for night in nights)
    told = f"unchanged nightly, {cells} cells, {applets}"
    compiled, written = sum(n.compiled for n in nights), sum(n.written for n in nights)
    return [
        Row(f"{told}: master's processor time", f"{cpu:.2f} s", bound=Bound(3, "s"), judged=cpu),
        Row(f"{told}: from start to report", f"{median(night.seconds for night in nights):.1f} s"),
        Row(f"{told}: cells compiled, released files written", f"{compiled}, {written}"),
    ]


def nightly_rows(
    folder: Path, *, cache: Path | None = None, few_applets: bool = False, nights: int = 2
) -> list[NightRow]:
    """Build 3 arches, 2 versions and 2 variants, then run nightlies in which nothing changed.

    Args:
        folder: an empty folder to work in.
        cache: a state folder's `cache`, so that nothing is downloaded.
        few_applets: a BusyBox that compiles in seconds, for a quick look: its images are smaller.
        nights: how many.

    Raises:
        RuntimeError: a cell is not good.
    """
    config = _copy_config(folder, cache, few_applets=few_applets)
    base = [*MINIOS, "--config", str(config), "--state", str(folder / "state")]
    with _up(base, folder) as pid:
        # The first one builds, the second has the night before to compare with.
        _check(_nightly(base, folder), "changed")
        url = json.loads((folder / "state" / "run.json").read_text("utf-8"))["url"]
        return [_night(MasterApi(url), pid, folder) for _ in range(nights)]


def _night(api: MasterApi, pid: int, folder: Path) -> NightRow:
    before = _snapshot(folder / "out")
    cpu, started = _cpu(pid), time.monotonic()
    request = api.force_nightly("bench")
    while not api.request(request)["complete"]:
        time.sleep(POLL_SECONDS)
    seconds, used = time.monotonic() - started, _cpu(pid) - cpu
    report = json.loads((folder / "state" / "nightly" / "report.json").read_text("utf-8"))
    _check(report, "tested")
    after = _snapshot(folder / "out")
    build = api.build_of_request(request)
    children = api.children(build["buildid"]) if build else []
    compiled = sum(1 for child in children if _compiled(api.steps(child["buildid"])))
    written = sum(1 for path in {*before, *after} if before.get(path) != after.get(path))
    return NightRow(len(report["cells"]), seconds, used, written, compiled)


def _compiled(steps: Sequence[dict[str, Any]]) -> bool:
    return any(step["name"] == "compile" and step["results"] in (0, 1) for step in steps)


def _check(report: dict[str, Any], state: str) -> None:
    bad = [cell for cell in report["cells"] if cell["state"] != state]
    if bad or len(report["cells"]) != len(ARCHES) * len(VERSIONS) * len(VARIANTS):
        raise RuntimeError(f"expected every cell {state}, found {bad or report}")


def _nightly(base: list[str], folder: Path) -> dict[str, Any]:
    command = [*base, "nightly", "run", "--json"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if not done.stdout:
        raise RuntimeError(f"the nightly ended without a report: {done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _cpu(pid: int) -> float:
    """Processor seconds of a process and its threads; proc(5): utime and stime, the 14th and 15th field."""
    fields = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file, with its size and the time it was written, in nanoseconds."""
    stats = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in stats}


def _copy_config(folder: Path, cache: Path | None, *, few_applets: bool) -> Path:
    for part in ("sources", "musl"):
        if cache is not None and (cache / part).is_dir():
            shutil.copytree(cache / part, folder / "state" / "cache" / part)
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    told = {
        "versions": list(VERSIONS),
        "variants": list(VARIANTS),
        "arches": dict.fromkeys(ARCHES, "required"),
        # It asks nobody, and starts nothing by itself.
        "upstream": {},
        "nightly": {"enabled": False},
    }
    if few_applets:
        told["kconfig_base"] = "allnoconfig"
        lines = "".join(f"CONFIG_{symbol}=y\n" for symbol in FEW)
        (config / "kconfig" / "base.config").write_text(lines, "utf-8")
    path = config / "minios.yaml"
    text = _without(path.read_text("utf-8"), told)
    path.write_text(text + "".join(f"{key}: {json.dumps(value)}\n" for key, value in told.items()), "utf-8")
    for other in set((config / "arches").glob("*.yaml")):
        if other.stem not in ARCHES:
            other.unlink()
    return config


def _without(text: str, keys: dict[str, Any]) -> str:
    """A YAML text without some of its top-level keys."""
    kept: list[str] = []
    skipping = False
    for line in text.splitlines(keepends=True):
        if not line.startswith((" ", "\n", "#")):
            skipping = line.partition(":")[0] in keys
        if not skipping:
            kept.append(line)
    return "".join(kept)


@contextmanager
def _up(base: list[str], folder: Path) -> Iterator[int]:
    """A master that stays; its pid."""
    subprocess.run([*base, "up"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    try:
        yield int(json.loads((folder / "state" / "run.json").read_text("utf-8"))["pid"])
    finally:
        subprocess.run([*base, "down"], check=True, stdout=subprocess.DEVNULL)
