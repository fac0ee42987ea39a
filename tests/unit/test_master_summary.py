from __future__ import annotations

import io
from typing import Any

import pytest
from masterbed import cell, release
from minios_master.matrix_run import Outcome
from minios_master.summary import outcome_lines, outcome_table, unreleased
from rich.console import Console

REFUSED = "candidate [x] has machine 62"


def outcome(*cells: dict[str, Any], releases: tuple[Any, ...] = (release(),), problem: str = "") -> Outcome:
    return Outcome(cells, releases, 12.0, problem)


def rows(*cells: dict[str, Any]) -> list[list[str]]:
    out = io.StringIO()
    Console(file=out, width=160).print(outcome_table(outcome(*cells)))
    return [line.split() for line in out.getvalue().splitlines()]


def lines(*cells: dict[str, Any], **more: Any) -> list[str]:
    return list(outcome_lines(outcome(*cells, **more), "oci:out/minios"))


def test_table_of_every_outcome() -> None:
    names = ("published", "reused", "built", "failed", "no-worker", "timed-out", "refused")
    head, *found = rows(*(cell("x86_64", name) for name in names))
    assert head == ["arch", "version", "variant", "outcome", "digest", "size", "time"]
    good = ["dddddddddddd", "1.23", "MB", "42", "s"]
    assert found == [
        ["x86_64", "1.38.0", "static", name, *(good if name in names[:3] else "---")] for name in names
    ]


RELEASED = "1.38.0 static is released: index dddddddddddd at oci:out/minios:1.38.0, oci:out/minios:latest"
PARTIAL = "index dddddddddddd at oci:out/minios:1.38.0-partial"


@pytest.mark.parametrize("name", ["published", "reused", "built"])
def test_good_cell_needs_no_words(name: str) -> None:
    assert lines(cell("x86_64", name)) == [RELEASED]


def test_candidate_is_not_called_released() -> None:
    rc = release(tags=["1.38.0-rc"], candidate=True)
    told = "1.38.0 static is a candidate, not released: index dddddddddddd at oci:out/minios:1.38.0-rc"
    assert lines(cell("x86_64"), releases=(rc,)) == [told]


@pytest.mark.parametrize("name", ["failed", "timed-out", "refused"])
def test_bad_cell_says_why(name: str) -> None:
    assert lines(cell("sw64", name, reason=REFUSED))[0] == f"sw64: {REFUSED}"


def test_missing_worker_says_how_to_attach_one() -> None:
    found = lines(cell("sw64", "no-worker", reason="no worker for sw64 is connected", attach="see FILE"))
    assert found[0] == "sw64: no worker is attached; see FILE"
    found = lines(cell("sw64", "no-worker", reason="no worker for sw64 is connected"))
    assert found[0] == "sw64: no worker for sw64 is connected"


def test_same_words_once_for_each_arch() -> None:
    cells = [
        cell(arch, "no-worker", attach="see FILE", version=version, variant=variant)
        for arch in ("sw64", "mips")
        for version in ("1.35.0", "1.38.0")
        for variant in ("static", "dynamic")
    ]
    told = [line for line in lines(*cells) if "no worker is attached" in line]
    assert told == ["sw64: no worker is attached; see FILE", "mips: no worker is attached; see FILE"]


def test_reason_of_many_lines_is_one() -> None:
    assert lines(cell("sw64", "failed", reason="one\ntwo\x1b[2J"))[0] == "sw64: one two?[2J"


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (release("released"), RELEASED),
        (release("unchanged"), RELEASED.replace("is released", "is unchanged")),
        (release(carried=["sw64", "mips"]), f"{RELEASED}; kept from the previous index: sw64, mips"),
        (
            release("partial", tags=["1.38.0-partial"], reasons=["a release needs aarch64 too", "more"]),
            f"1.38.0 static is not a release (a release needs aarch64 too); {PARTIAL}",
        ),
        (
            release("partial", tags=["1.38.0-partial"]),
            f"1.38.0 static is not a release (not every required arch was asked for); {PARTIAL}",
        ),
        (
            release("blocked", tags=[], index="", reasons=["x86_64 (required) failed: because", "more"]),
            "1.38.0 static is not released: x86_64 (required) failed: because; nothing was written",
        ),
        (
            release("blocked", tags=[], index=""),
            "1.38.0 static is not released: no cell is good; nothing was written",
        ),
    ],
)
def test_each_release_outcome(report: dict[str, Any], line: str) -> None:
    assert lines(cell("x86_64"), releases=(report,)) == [line]


def test_release_that_nobody_told_of() -> None:
    cells = [cell("x86_64"), cell("x86_64", variant="dynamic"), cell("sw64", variant="dynamic")]
    assert unreleased(outcome(*cells)) == (("1.38.0", "dynamic"),)
    assert lines(*cells) == [RELEASED, "1.38.0 dynamic is not released: its publishing step did not end"]
    assert lines(*cells, problem="the disk is full")[1] == "1.38.0 dynamic is not released: the disk is full"
    assert unreleased(outcome()) == ()
