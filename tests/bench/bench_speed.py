"""What is not compiled again: one changed symbol and a warm ccache against clean builds; and sizes.

For `make bench`: call `speed_rows` and `size_rows` and print what they give, or run this file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
MINIOS = [sys.executable, "-c", "from minios_master.cli.main import run; run()"]
SYMBOL = "# CONFIG_HTTPD is not set\n"


@dataclass(frozen=True)
class SpeedRow:
    """One way to build a cell: wall-clock seconds of `minios matrix` on a running master; the digest."""

    what: str
    seconds: float
    digest: str


@dataclass(frozen=True)
class SizeRow:
    """One image: bytes of its manifest, config and compressed layer together."""

    arch: str
    libc: str
    variant: str
    size: int


def speed_rows(folder: Path, arch: str, *, cache: Path | None = None) -> list[SpeedRow]:
    """Build one cell clean, with a warm ccache, and with one symbol changed.

    Args:
        folder: an empty folder to work in.
        arch: one that this machine compiles for.
        cache: a state folder's `cache`, so that nothing is downloaded.

    Raises:
        RuntimeError: two builds of the same inputs gave different bytes.
    """
    config = _copy_config(folder, cache)
    fragment = config / "kconfig" / "arch" / f"{arch}.config"
    fragment.parent.mkdir(exist_ok=True)
    before = fragment.read_text("utf-8") if fragment.exists() else ""
    rows: list[SpeedRow] = []
    with _up(config, folder) as base:
        # The first build fetches, and fills ccache where the machine has it.
        rows.append(_row("clean, nothing kept", base, folder, arch))
        rows.append(_row("clean, warm ccache", base, folder, arch, "--force"))
        fragment.write_text(before + SYMBOL, "utf-8")
        rows.append(_row("one symbol changed, objects kept", base, folder, arch))
        rows.append(_row("the same, clean", base, folder, arch, "--force"))
    if rows[0].digest != rows[1].digest or rows[2].digest != rows[3].digest:
        raise RuntimeError(f"equal inputs gave different bytes: {rows}")
    return rows


def size_rows(folder: Path, arches: Sequence[str], *, cache: Path | None = None) -> list[SizeRow]:
    """The size of each arch's image for every C library and variant it can have.

    Args:
        folder: an empty folder to work in.
        arches: those that this machine compiles for.
        cache: a state folder's `cache`, so that nothing is downloaded.
    """
    config = _copy_config(folder, cache)
    rows: list[SizeRow] = []
    for libc in ("musl", "glibc"):
        named = []
        for arch in arches:
            path = config / "arches" / f"{arch}.yaml"
            text = path.read_text("utf-8")
            if libc == "glibc" or "\nmusl:" in text:
                named.append(arch)
            if libc == "glibc" and "\nlibc:" not in text:
                path.write_text(f"{text}libc: glibc\n", "utf-8")
        base = _base(config, folder)
        words = [word for arch in named for word in ("--arch", arch)]
        cells = _matrix(base, folder, *words, "--variant", "static", "--variant", "dynamic") if named else []
        rows += [SizeRow(cell["arch"], libc, cell["variant"], cell["size"]) for cell in cells]
    return rows


def _copy_config(folder: Path, cache: Path | None) -> Path:
    if cache is not None:
        shutil.copytree(cache, folder / "state" / "cache")
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    return config


def _base(config: Path, folder: Path) -> list[str]:
    return [*MINIOS, "--config", str(config), "--state", str(folder / "state")]


@contextmanager
def _up(config: Path, folder: Path) -> Iterator[list[str]]:
    base = _base(config, folder)
    subprocess.run([*base, "up"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    try:
        yield base
    finally:
        subprocess.run([*base, "down"], check=True, stdout=subprocess.DEVNULL)


def _row(what: str, base: list[str], folder: Path, arch: str, *words: str) -> SpeedRow:
    started = time.monotonic()
    [cell] = _matrix(base, folder, "--arch", arch, "--variant", "static", *words)
    return SpeedRow(what, time.monotonic() - started, cell["digest"])


def _matrix(base: list[str], folder: Path, *words: str) -> list[dict[str, Any]]:
    command = [*base, "matrix", *words, "--json"]
    done = subprocess.run(command, cwd=folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    cells: list[dict[str, Any]] = json.loads(done.stdout)["cells"]
    for cell in cells:
        if not cell["digest"]:
            raise RuntimeError(f"{cell['arch']} {cell['variant']}: {cell['reason']}")
    return cells


def main() -> None:
    """Measure one arch's builds, and the sizes of all that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", action="append", default=[])
    parser.add_argument("--cache", type=Path)
    chosen = parser.parse_args()
    arches = chosen.arch or ["x86_64"]
    with tempfile.TemporaryDirectory(prefix="minios-bench-") as name:
        folders = [Path(name, "speed"), Path(name, "size")]
        for folder in folders:
            folder.mkdir()
        speeds = speed_rows(folders[0], arches[0], cache=chosen.cache)
        sizes = size_rows(folders[1], arches, cache=chosen.cache)
    console = Console()
    table = Table(title=f"one cell, {arches[0]}", box=None)
    for column in ("build", "seconds", "of clean"):
        table.add_column(column, justify="left" if column == "build" else "right")
    for row in speeds:
        table.add_row(row.what, f"{row.seconds:.1f}", f"{row.seconds / speeds[0].seconds:.2f}")
    console.print(table)
    table = Table(title="sizes", box=None)
    for column in ("arch", "libc", "variant", "MB"):
        table.add_column(column, justify="right" if column == "MB" else "left")
    for size in sizes:
        table.add_row(size.arch, size.libc, size.variant, f"{size.size / 1e6:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
