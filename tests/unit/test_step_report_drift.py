from __future__ import annotations

import dataclasses
from typing import Any

from buildbot.process.results import SKIPPED, SUCCESS, WARNINGS
from driftbed import drifting_project
from stepbed import StepCase

from minios_steps.report_drift import ReportDrift


class TestReportDrift(StepCase):
    def drift(self, *versions: str) -> None:
        self.project = drifting_project(self.folder)
        self.setup_step(ReportDrift(project=self.project, cache=self.folder / "cache"))
        self.set_properties(**({"versions": list(versions)} if versions else {}))

    async def test_lines_that_do_not_apply_are_a_warning(self) -> None:
        self.drift("1.40.0")
        summary = "1.38.0 to 1.40.0: 1 new, 1 gone, 1 renamed symbols; 2 fragment lines do not apply"
        self.expect_outcome(WARNINGS, summary)
        await self.run_step()
        log = self.log_text("drift")
        assert "renamed: CONFIG_TC → CONFIG_TRAFFIC_CONTROL\n" in log

    async def test_release_of_an_older_line_is_compared_with_what_was_before_it(self) -> None:
        self.drift("1.37.1")
        assert self.project.discoveries is not None
        found = self.project.discovered["1.40.0"]
        self.project.discoveries.add(dataclasses.replace(found, version="1.37.1"))
        self.expect_outcome(WARNINGS)
        await self.run_step()
        assert "BusyBox 1.35.0 cannot be fetched" in self.log_text("drift")

    async def test_everything_applies(self) -> None:
        self.drift("1.40.0")
        for name, text in (("base", ""), ("static", "CONFIG_STATIC=y\n")):
            (self.project.root / "kconfig" / f"{name}.config").write_text(text, "utf-8")
        arches: Any = self.project.arches
        object.__setattr__(arches["sw64"], "kconfig", "")
        self.expect_outcome(SUCCESS)
        await self.run_step()

    async def test_only_candidates(self) -> None:
        self.drift("1.38.0")
        self.expect_outcome(SKIPPED)
        await self.run_step()

    async def test_no_version_named(self) -> None:
        self.drift()
        self.expect_outcome(SKIPPED)
        await self.run_step()

    async def test_build_goes_on_when_it_cannot_be_told(self) -> None:
        self.drift("1.40.0")
        (self.folder / "config" / "mirror" / "busybox-1.38.0.tar.bz2").unlink()
        self.expect_outcome(WARNINGS)
        await self.run_step()
        assert "BusyBox 1.38.0 cannot be fetched" in self.log_text("drift")
