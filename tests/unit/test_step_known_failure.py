"""`KnownFailure`: what is known to fail is not compiled, and everything else is let through."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import FAILURE, SKIPPED
from stepbed import StepCase

from minios_steps.known_failure import KnownFailure

KEY = "sha256:" + "1" * 64
WHY = "compile failed: x.c:1: error (since 2026-01-01T02:30:00+00:00)"


class Knowing(StepCase):
    def known(self, **properties: Any) -> None:
        self.setup_step(KnownFailure())
        self.set_properties(**properties)

    def test_known(self) -> Any:
        self.known(cell_key=KEY, known_failures={KEY: WHY})
        told = f"not compiled again, the same inputs failed before: {WHY}"
        self.expect_outcome(FAILURE, told)
        self.expect_property("known_failure", True, "known")
        self.expect_property("problem", told, "known")
        return self.run_step()

    def let_through(self, **properties: Any) -> Any:
        self.known(**properties)
        self.expect_outcome(SKIPPED)
        self.expect_no_property("known_failure")
        self.expect_no_property("problem")
        return self.run_step()

    def test_other_inputs(self) -> Any:
        return self.let_through(cell_key="sha256:" + "2" * 64, known_failures={KEY: WHY})

    def test_nothing_known(self) -> Any:
        return self.let_through(cell_key=KEY)

    def test_no_key(self) -> Any:
        return self.let_through(known_failures={KEY: WHY})
