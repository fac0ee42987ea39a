from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from nightlybed import BUILD, FIRST, OTHER_KEY, SECOND, THIRD, Nights, bad, good, released
from releasebed import cell

from minios_steps.core.cell_result import CellResult
from minios_steps.core.nightly.files import ReportFiles
from minios_steps.core.nightly.judge import CellFacts
from minios_steps.core.nightly.report import ReportError
from minios_steps.core.nightly.text import headline, report_text

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.nightly.report import NightlyReport


def busy() -> NightlyReport:
    """A night in which much happens."""
    nights = Nights()
    nights.night(
        FIRST, good(), good("aarch64", size=1000), bad("sw64"), facts={"sw64": CellFacts(certain=True)}
    )
    return nights.night(
        SECOND,
        good(),
        good("aarch64", outcome="published", size=1100),
        bad("sw64", reason="not compiled again"),
        CellResult.no_worker(cell("riscv64"), ""),
        facts={
            "aarch64": CellFacts(why="kconfig: CONFIG_TC n → y", checked=True),
            "sw64": CellFacts(known=True),
        },
        releases=[released("released")],
        absent={"fast-1": FIRST},
    )


BUSY = f"""\
nightly of 2026-01-02 02:30 UTC: 1 failed, 1 changed, 1 unchanged and tested again, 1 without a worker,\
 1 worker missing, 1 warning

failed
  sw64 1.38.0 static, since 2026-01-01 02:30 UTC: compile failed: x.c:1: error; nothing changed, so it was\
 not compiled again

warnings
  aarch64 1.38.0 static grew by 10.0 %, more than 5 %: 1,000 to 1,100 bytes

changed
  aarch64 1.38.0 static: kconfig: CONFIG_TC n → y; the same bytes as a clean build; 1,100 bytes (+10.0 %)

unchanged, tested again
  x86_64 1.38.0 static: the released image aaaaaaaaaaaa: 6 checks passed natively; 1,000 bytes

releases
  1.38.0 static: released, index cccccccccccc as 1.38.0, latest

missing
  a worker for riscv64, since 2026-01-02 02:30 UTC
  worker fast-1, since 2026-01-01 02:30 UTC

42 s, {BUILD}1
"""


def test_whole_report() -> None:
    assert report_text(busy()) == BUSY


def test_required_arch_without_a_worker_is_among_the_failed() -> None:
    text = report_text(Nights().night(FIRST, CellResult.no_worker(cell(), "")))
    assert (
        "failed\n  x86_64 1.38.0 static, since 2026-01-01 02:30 UTC: no-worker: no worker for x86_64" in text
    )


def test_blocked_release_says_why() -> None:
    text = report_text(
        Nights().night(FIRST, bad(), releases=[released("blocked", reasons=["x86_64 failed"])])
    )
    assert "  1.38.0 static: blocked: x86_64 failed\n" in text


def test_night_that_came_to_nothing() -> None:
    report = Nights().night(FIRST, releases=[], problem="version '9.9.9' is not pinned")
    assert headline(report) == "nightly of 2026-01-01 02:30 UTC: version '9.9.9' is not pinned"


def test_files(tmp_path: Path) -> None:
    files = ReportFiles(tmp_path / "nightly")
    with pytest.raises(ReportError, match=r"^no nightly has run here yet \(run `minios nightly run`\)$"):
        files.read()
    files.write(busy())
    assert files.read() == busy()
    assert (tmp_path / "nightly" / "report.txt").read_text("utf-8") == BUSY
    (tmp_path / "nightly" / "report.json").write_text("{", "utf-8")
    with pytest.raises(ReportError, match=r"report\.json: cannot be read: not JSON$"):
        files.read()


def test_disk_refuses(tmp_path: Path) -> None:
    (tmp_path / "nightly").write_text("in the way", "utf-8")
    with pytest.raises(Exception, match=r"^cannot write .*nightly.*: "):
        ReportFiles(tmp_path / "nightly").write(busy())


def test_what_was_built_by_day_is_no_news_that_is_hidden() -> None:
    nights = Nights()
    nights.night(FIRST, good(size=1000))
    report = nights.night(SECOND, good(size=1100, key=OTHER_KEY))
    assert headline(report) == "nightly of 2026-01-02 02:30 UTC: 1 changed, 1 warning"
    told = "built since the last nightly; the released image aaaaaaaaaaaa: 6 checks passed natively"
    assert f"\nchanged\n  x86_64 1.38.0 static: {told}; 1,100 bytes (+10.0 %)\n" in report_text(report)
    assert "tested again" not in report_text(report)
    again = nights.night(THIRD, good(size=1100, key=OTHER_KEY))
    assert headline(again) == "nightly of 2026-01-03 02:30 UTC: 1 unchanged and tested again"
