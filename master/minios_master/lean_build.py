"""A cell's build that does not write down the steps that it has no use for."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import SKIPPED

from .lost_build import CellBuild


class LeanBuild(CellBuild):
    """Passes over each step that would be skipped and hidden.

    Buildbot writes such a step to its database four times, and compares all properties of the build
    after it. For a cell that is reused that was most of the master's work.
    """

    def getNextStep(self) -> Any:
        """The next step that does something; None at the end."""
        step = super().getNextStep()
        while step is not None and _is_useless(step):
            step = super().getNextStep()
        return step


def _is_useless(step: Any) -> bool:
    wanted, hidden = step.doStepIf, step.hideStepIf
    return callable(wanted) and callable(hidden) and not wanted(step) and bool(hidden(SKIPPED, step))
