"""What people are told of a nightly: its report, in one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minios_master.notices.events import Judged, Notice, Told, matrix_ended
from minios_steps.core.nightly.report import NightlyReport
from minios_steps.core.nightly.text import headline, report_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def nightly_ended(
    told: Told, build: str, properties: Mapping[str, Any], problem: str, role: Callable[[str], str]
) -> Judged:
    """A nightly has ended, and was not cancelled; the arguments are those of `matrix_ended`.

    What the report says counts as told: the next run of the matrix does not tell it again. A nightly
    without a report is told like a matrix that came to nothing.
    """
    now, notices = matrix_ended(told, build, properties, problem, role)
    if "nightly_report" not in properties:
        return now, notices
    report = NightlyReport.from_json(properties["nightly_report"])
    lines = tuple(report_lines(report))[1:]
    return now, [Notice("nightly-report", headline(report), lines, report.as_json(), build)]
