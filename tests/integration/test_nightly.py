"""Night after night on a real master, a real compiler and a small BusyBox; each run is a new master."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from test_matrix_tiny import BREAK, X86

if TYPE_CHECKING:
    from pathlib import Path

    from userland import Minios


def steps(cli: Minios) -> list[str]:
    """Every step that cells' builds have run here, in order."""
    database = f"file:{cli.state / 'master' / 'state.sqlite'}?mode=ro"
    query = """SELECT steps.name FROM steps JOIN builds ON builds.id = steps.buildid
        JOIN builders ON builders.id = builds.builderid WHERE builders.name = 'x86_64' ORDER BY steps.id"""
    with closing(sqlite3.connect(database, uri=True)) as connection:
        return [name for (name,) in connection.execute(query)]


def times(folder: Path) -> dict[str, int]:
    """When each file and folder was written last, in nanoseconds."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def night(cli: Minios, code: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """A nightly: its report, and its one cell."""
    done = cli.run("nightly", "run", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    [cell] = report["cells"]
    return report, cell


def test_changed_unchanged_broken_known(config_copy: Any, minios: Any) -> None:
    config = config_copy(tiny=True, arches=X86)
    for path in (config / "arches").glob("*.yaml"):
        if path.stem not in X86:
            path.unlink()
    cli = minios(config)
    assert "no nightly has run here yet" in cli.run("nightly", "report").stderr

    report, cell = night(cli)
    assert (cell["state"], cell["text"], report["verdict"]) == ("changed", "not built before", "good")
    assert report["releases"][0]["outcome"] == "released"
    assert steps(cli).count("compile") == 1

    before, done = times(cli.out), len(steps(cli))
    report, cell = night(cli)
    assert (cell["state"], report["verdict"]) == ("tested", "good")
    digest = cell["digest"].removeprefix("sha256:")[:12]
    assert cell["text"].startswith(f"the released image {digest}: "), cell["text"]
    assert "checks passed natively" in cell["text"]
    assert report["releases"][0]["outcome"] == "unchanged"
    # Nothing was compiled, nothing was pushed or written, and the image was really run.
    own = [name for name in steps(cli)[done:] if name in ("compile", "push", "retest", "fetch")]
    assert own == ["retest"]
    assert times(cli.out) == before

    (config / "patches" / "break.patch").write_text(BREAK, "utf-8")
    sources = config / "sources.yaml"
    whole = sources.read_text("utf-8")
    sources.write_text(whole.replace("- tc-without-cbq.patch", "- break.patch"), "utf-8")
    report, cell = night(cli, 1)
    assert (cell["state"], report["verdict"]) == ("failed", "failed")
    assert "coreutils/echo.c:" in cell["text"]
    since, compiled = cell["since"], steps(cli).count("compile")
    assert since == report["started"]

    report, cell = night(cli, 1)
    assert (cell["state"], cell["since"]) == ("known-failure", since)
    assert "coreutils/echo.c:" in cell["text"]
    assert report["started"] > since
    assert steps(cli).count("compile") == compiled
    # What is released stays as it was.
    assert times(cli.out) == before

    shown = cli.run("nightly", "report")
    assert shown.returncode == 0
    assert shown.stdout == (cli.state / "nightly" / "report.txt").read_text("utf-8")
    assert "not compiled again" in shown.stdout
