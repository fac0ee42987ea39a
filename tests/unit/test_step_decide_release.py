from __future__ import annotations

import dataclasses
from typing import Any

from buildbot.process.results import FAILURE, SKIPPED, SUCCESS
from configbed import MINIOS, write_config
from stepbed import StepCase

from minios_steps.core.config.load import load_project
from minios_steps.core.upstream.discoveries import Discovered, Discoveries
from minios_steps.decide_release import ApproveRelease, DecideRelease

SHA = "c" * 64


class DecisionCase(StepCase):
    """A configuration that pins 1.38.0, and the candidate 1.40.0."""

    def prepare(self, *, release: str = "hold", variants: str = "[static]", passed: bool = False) -> None:
        minios = MINIOS.replace("variants: [static]", f"variants: {variants}")
        write_config(self.folder / "config", {"minios.yaml": f"{minios}upstream: {{release: {release}}}\n"})
        self.file = Discoveries(self.folder / "releases.json")
        self.project = dataclasses.replace(load_project(self.folder / "config"), discoveries=self.file)
        self.file.add(Discovered("1.40.0", SHA, 1, "https://example.org/x", "F" * 40, (), (), "now"))
        if passed:
            self.file.mark_passed("1.40.0")
        self.added: list[Any] = []

    def decide(self, *releases: tuple[str, str, str]) -> None:
        self.setup_step(DecideRelease(project=self.project, publish=lambda *what: what))
        self.build.addStepsAfterCurrentStep = self.added.extend
        keys = ("version", "variant", "outcome")
        self.set_properties(releases=[dict(zip(keys, told, strict=True)) for told in releases])

    def approve(self, **properties: Any) -> None:
        self.setup_step(ApproveRelease(project=self.project))
        self.set_properties(**properties)

    @property
    def now(self) -> Discovered:
        return self.file.read()["1.40.0"]


class TestDecideRelease(DecisionCase):
    async def test_hold_waits(self) -> None:
        self.prepare()
        self.decide(("1.40.0", "static", "released"))
        self.expect_outcome(SUCCESS, "1.40.0 is good: waits for minios release approve 1.40.0")
        self.expect_property("waiting", ["1.40.0"])
        await self.run_step()
        assert (self.now.passed, self.now.approved, self.added) == (True, "", [])

    async def test_auto_releases_in_the_same_build(self) -> None:
        self.prepare(release="auto", variants="[static, dynamic]")
        self.decide(("1.40.0", "static", "unchanged"), ("1.40.0", "dynamic", "released"))
        self.expect_outcome(SUCCESS, "1.40.0 is good: released by policy")
        self.expect_property("waiting", [])
        await self.run_step()
        assert self.now.approved == "policy auto"
        assert self.added == [("1.40.0", "static"), ("1.40.0", "dynamic")]

    async def test_every_variant_counts(self) -> None:
        self.prepare(release="auto", variants="[static, dynamic]")
        self.decide(("1.40.0", "static", "released"), ("1.40.0", "dynamic", "blocked"))
        self.expect_outcome(SUCCESS, "1.40.0 is not released: dynamic is not good")
        await self.run_step()
        assert (self.now.passed, self.added) == (False, [])

    async def test_narrowed_run_decides_nothing(self) -> None:
        self.prepare(release="auto", variants="[static, dynamic]")
        self.decide(("1.40.0", "static", "partial"))
        self.expect_outcome(SUCCESS, "1.40.0 is not released: static, dynamic is not good")
        await self.run_step()
        assert not self.now.passed

    async def test_no_candidate(self) -> None:
        self.prepare(release="auto")
        self.decide(("1.38.0", "static", "released"))
        self.expect_outcome(SKIPPED)
        await self.run_step()
        assert not self.now.passed

    async def test_approved_one_is_decided(self) -> None:
        self.prepare(release="auto", passed=True)
        self.file.approve("1.40.0", "me")
        self.decide(("1.40.0", "static", "released"))
        self.expect_outcome(SKIPPED)
        await self.run_step()
        assert self.added == []


class TestApproveRelease(DecisionCase):
    async def test_approved(self) -> None:
        self.prepare(passed=True)
        self.approve(approve="1.40.0", owner="me <me@example.org>")
        self.expect_outcome(SUCCESS, "1.40.0 approved by me <me@example.org>")
        self.expect_property("versions", ["1.40.0"])
        await self.run_step()
        assert self.now.approved == "me <me@example.org>"

    async def test_nobody_named(self) -> None:
        self.prepare(passed=True)
        self.approve(approve="1.40.0")
        self.expect_outcome(SUCCESS, "1.40.0 approved by the web interface")
        await self.run_step()

    async def test_never_good(self) -> None:
        self.prepare()
        self.approve(approve="1.40.0")
        self.expect_outcome(FAILURE, "1.40.0 cannot be approved: it was not good on every arch yet")
        self.expect_no_property("versions")
        await self.run_step()
        assert self.now.approved == ""

    async def test_unknown(self) -> None:
        self.prepare()
        self.approve(approve="1.99.0")
        self.expect_outcome(FAILURE, "1.99.0 is not a discovered release (there are: 1.40.0)")
        await self.run_step()

    async def test_nothing_asked(self) -> None:
        self.prepare()
        self.approve()
        self.expect_outcome(SKIPPED)
        await self.run_step()

    async def test_master_without_discoveries(self) -> None:
        self.prepare()
        self.project = dataclasses.replace(self.project, discoveries=None)
        self.approve(approve="1.40.0")
        self.expect_outcome(FAILURE, "this master keeps no discovered releases")
        await self.run_step()
