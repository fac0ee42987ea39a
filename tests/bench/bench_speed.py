"""What is not compiled again: an unchanged rerun, one changed symbol, a warm ccache.

Against clean builds; each figure is that of a whole `minios matrix` of one CPU on a master that is up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from options import median
from pipeline import ROOT, arches_of, make_pipeline
from plain_path import path_without_ccache
from table import Bound, Row

from minios_steps.core.config.load import load_project

if TYPE_CHECKING:
    from pathlib import Path

    from options import Options
    from pipeline import Run

SYMBOL = "# CONFIG_HTTPD is not set\n"
BOUND = Bound(5, at_least=True)


def rows(options: Options) -> list[Row]:
    """One CPU; the ratios say how many times faster than a clean build.

    Raises:
        RuntimeError: two builds of the same inputs gave different bytes.
    """
    arch = arches_of(options, load_project(ROOT / "config"))[0]
    words = ("--arch", arch, "--variant", "static")
    bare = make_pipeline(options, options.folder / "bare", path=path_without_ccache(options.folder / "bin"))
    fragment = bare.config / "kconfig" / "arch" / f"{arch}.config"
    fragment.parent.mkdir(exist_ok=True)
    before = fragment.read_text("utf-8") if fragment.exists() else ""
    clean: list[float] = []
    changed: list[float] = []
    unchanged: list[float] = []
    with bare.up():
        # The first one unpacks the source, which the others find there.
        bare.matrix(*words)
        for _ in range(options.rounds):
            unchanged.append(bare.matrix(*words).seconds)
            fragment.write_text(before + SYMBOL, "utf-8")
            kept = bare.matrix(*words)
            fresh = bare.matrix(*words, "--force")
            _same(kept, fresh)
            changed.append(kept.seconds)
            fragment.write_text(before, "utf-8")
            # Also leaves the objects, and the candidate, of the configuration as it was.
            clean.append(bare.matrix(*words, "--force").seconds)
            _forget(bare.state / "store", fresh)
            options.say(
                f"clean {clean[-1]:.1f} s, changed {changed[-1]:.1f} s, unchanged {unchanged[-1]:.1f} s"
            )
    return [
        Row(f"unchanged rerun, {arch}; clean", _s(unchanged), _s(clean), median(clean) / median(unchanged)),
        Row(
            f"one symbol changed, {arch}, the same bytes; clean",
            _s(changed),
            _s(clean),
            median(clean) / median(changed),
            BOUND,
        ),
        _warm_ccache(options, words, clean),
    ]


def _warm_ccache(options: Options, words: tuple[str, ...], clean: list[float]) -> Row:
    pipeline = make_pipeline(options, options.folder / "ccache")
    warm = []
    with pipeline.up():
        first = pipeline.matrix(*words)
        for _ in range(options.rounds):
            again = pipeline.matrix(*words, "--force")
            _same(first, again)
            warm.append(again.seconds)
    return Row(
        f"warm ccache, {words[1]}, the same bytes; clean", _s(warm), _s(clean), median(clean) / median(warm)
    )


def _forget(store: Path, run: Run) -> None:
    """Remove the candidate's record, so that the next round builds it again."""
    for path in (store / "cells").glob("*.json"):
        if run.digests[0] in path.read_text("utf-8"):
            path.unlink()


def _same(one: Run, other: Run) -> None:
    if one.digests != other.digests:
        raise RuntimeError(f"equal inputs gave different bytes: {one.cells}, {other.cells}")


def _s(values: list[float]) -> str:
    return f"{median(values):.1f} s"
