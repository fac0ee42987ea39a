from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from options import Ratios
from table import BEGIN, END, Bound, Row, markdown, write_between_marks
from this_machine import describe

if TYPE_CHECKING:
    from pathlib import Path

MOST, LEAST = Bound(1.03), Bound(12, at_least=True)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("cold", "10 s", "10 s", 1.0, MOST), "ok"),
        (Row("cold", "10 s", "10 s", 1.04, MOST), "over"),
        (Row("cross", "10 s", "1 s", 12.0, LEAST), "ok"),
        (Row("cross", "10 s", "1 s", 11.9, LEAST), "over"),
        (Row("size", "0.91 MB", bound=Bound(0.9, "MB"), judged=0.91), "over"),
        (Row("no bound", "1 s", "1 s", 7.0), ""),
        (Row("nothing to hold against it", "1 s", bound=MOST), ""),
    ],
)
def test_verdict(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


def test_ratios_are_of_each_round() -> None:
    # The second round was on a busy machine: it says the same.
    ratios = Ratios([10.0, 20.0, 10.0], [11.0, 22.0, 12.0])
    assert ratios.middle == pytest.approx(1.1)
    assert (ratios.least, ratios.most) == (pytest.approx(1.1), pytest.approx(1.2))
    assert Ratios([1.0], [1.0]).least is None


def test_markdown() -> None:
    rows = [
        Row("cold", "11 s", "10 s", 1.1, MOST, least=1.0, most=1.2),
        Row("size", "0.8 MB", bound=Bound(0.9, "MB"), judged=0.8),
    ]
    assert markdown(("a CPU", "a compiler"), rows).splitlines() == [
        "a CPU  ",
        "a compiler",
        "",
        "| what | baseline | minios | ratio | bound |  |",
        "|---|---:|---:|---:|---:|---|",
        "| cold | 10 s | 11 s | 1.10 (1.00-1.20) | ≤ 1.03 | over |",
        "| size |  | 0.8 MB |  | ≤ 0.9 MB | ok |",
    ]


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    for text in ("new\n", "newer\n"):
        write_between_marks(path, text)
        assert path.read_text("utf-8") == f"before\n{BEGIN}\n{text}{END}\nafter\n"
    path.write_text("no marks\n", "utf-8")
    with pytest.raises(ValueError, match="no place for the table"):
        write_between_marks(path, "new\n")
    assert path.read_text("utf-8") == "no marks\n"


def test_the_machine_is_described() -> None:
    told = "\n".join(describe())
    for word in ("cores", "memory", "Linux", "gcc", "Python", "buildbot", "load average"):
        assert word in told
