"""The nightly's builder, the steps it adds, and the clock that starts it."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.db.model import Model
from buildbot.process.results import SKIPPED, SUCCESS
from buildbot.schedulers.timed import Timed
from buildbot.test import fakedb
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from configbed import MINIOS, write_config
from minios_master.destination import Place
from minios_master.factories import arch_factory, nightly_parent
from minios_master.nightly import NIGHTLY, TIMED, nightly_schedulers
from minios_master.nightly_scheduler import NightlyScheduler
from minios_master.settings import Settings
from stepbed import make_tables
from twisted.internet import defer
from twisted.trial import unittest

from minios_steps.core.config.load import load_project
from minios_steps.publish_changed import PublishChanged

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project

SETTINGS = Settings(Path("/config"), Path("/state"))
PLACE = Place(Path("/out"), None)
NIGHT = "nightly: {enabled: true, cron: '30 2 * * *', versions: [1.35.0], variants: [static]}\n"
# Written out, as the machine need not know a zone by its name.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(write_config(tmp_path / "config", {"minios.yaml": MINIOS + NIGHT}))


def steps_of(factory: Any) -> dict[str, Any]:
    return {step.name: step for step in (made.buildStep() for made in factory.steps)}


def test_steps_of_a_night(project: Project) -> None:
    builder = nightly_parent(project, SETTINGS, PLACE)
    steps = steps_of(builder.factory)
    assert list(steps) == ["nightly", "report"]
    trigger, report = steps.values()
    assert (trigger.versions, trigger.variants) == (["1.35.0"], ["static"])
    # Candidates too: they are built, and are in no release.
    assert sorted(trigger.arches) == ["sw64", "x86_64"]
    assert isinstance(trigger.publish("1.35.0", "static"), PublishChanged)
    assert report.folder == SETTINGS.nightly
    assert report.alwaysRun
    assert "sw64-unattached" in report.placeholders
    assert [access.lockid.name for access in builder.locks] == [NIGHTLY]


def test_steps_that_only_a_nightly_needs(project: Project) -> None:
    steps = steps_of(arch_factory(project, project.arches["x86_64"], SETTINGS, PLACE, None))
    names = list(steps)
    assert names.index("reuse") < names.index("known") < names.index("fetch")
    assert names[-1] == "retest"
    known, retest = steps["known"], steps["retest"]
    for told, runs in (
        ({}, (False, False)),
        ({"nightly": True}, (False, False)),
        ({"nightly": True, "reused": True, "known_failures": {"k": "why"}}, (False, True)),
        ({"reused": True}, (False, False)),
        ({"nightly": True, "known_failures": {"k": "why"}}, (True, False)),
    ):
        for step in (known, retest):
            step.getProperty = lambda name, default, told=told: told.get(name, default)
        assert (known.doStepIf(known), retest.doStepIf(retest)) == runs
    for step in (known, retest):
        assert step.hideStepIf(SKIPPED, step)
        assert not step.hideStepIf(SUCCESS, step)


def test_clock_and_form(project: Project, tmp_path: Path) -> None:
    form, clock = nightly_schedulers(project, SETTINGS)
    assert (form.name, clock.name) == (NIGHTLY, TIMED)
    assert clock._config_kwargs["cron"] == "30 2 * * *"
    one_run = Settings(Path("/config"), Path("/state"), lifeline=True)
    assert [one.name for one in nightly_schedulers(project, one_run)] == [NIGHTLY]
    off = load_project(write_config(tmp_path / "off", {"minios.yaml": MINIOS}))
    assert [one.name for one in nightly_schedulers(off, SETTINGS)] == [NIGHTLY]


class TestClock(TestReactorMixin, unittest.TestCase):
    """The scheduler alone, on a fake master whose database is real."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        self.master = yield fakemaster.make_master(self, wantDb=True, wantData=True, wantMq=True)
        yield self.master.db.insert_test_data([fakedb.Master(id=self.master.masterid)])
        self.clock = NightlyScheduler(name=TIMED, builderNames=[NIGHTLY], cron="30 2 * * *")
        self.started: list[str] = []
        self.patch(Timed, "startBuild", self._note)
        yield self.clock.setServiceParent(self.master)
        yield self.clock.configureService()

    def _note(self, *_: Any) -> Any:
        self.started.append("one")
        return defer.succeed(None)

    async def next_time(self, last: dt.datetime, now: dt.datetime | None = None) -> dt.datetime:
        self.patch(self.clock, "now", (now or last).timestamp)
        found: float = await self.clock.getNextBuildTime(last.timestamp())
        return dt.datetime.fromtimestamp(found, dt.timezone.utc).astimezone()

    async def request(self, *, complete: bool) -> None:
        builder = await self.master.data.updates.findBuilderId(NIGHTLY)
        number = 1 if complete else 2
        rows = [
            fakedb.SourceStamp(id=number),
            fakedb.Buildset(id=number),
            fakedb.BuildsetSourceStamp(buildsetid=number, sourcestampid=number),
            fakedb.BuildRequest(id=number, buildsetid=number, builderid=builder, complete=int(complete)),
        ]
        await self.master.db.insert_test_data(rows)

    async def test_local_time(self) -> None:
        for zone in ("UTC", "Europe/Berlin", "Asia/Shanghai"):
            self.patch_zone(zone)
            last = dt.datetime(2026, 1, 10, 12, tzinfo=dt.timezone.utc)
            found = await self.next_time(last)
            assert (found.hour, found.minute) == (2, 30), zone
            assert last < found <= last + dt.timedelta(days=1)

    def patch_zone(self, zone: str) -> None:
        """As if the machine were there."""
        before = os.environ.get("TZ")
        os.environ["TZ"] = zone
        time.tzset()
        self.addCleanup(self._unpatch_zone, before)

    @staticmethod
    def _unpatch_zone(before: str | None) -> None:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()

    async def test_each_night_once(self) -> None:
        first = await self.next_time(dt.datetime(2026, 1, 10, 12).astimezone())
        second = await self.next_time(first)
        assert second - first == dt.timedelta(days=1)

    async def follow(self, cron: str, begin: dt.datetime, count: int) -> list[str]:
        """What the clock shows at the times after one that it showed, each counted from the one before."""
        self.clock.cron = cron
        shown, last = [], begin
        for _ in range(count):
            last = await self.next_time(last)
            shown.append(f"{last:%d %H:%M %Z}")
        return shown

    async def test_clock_put_forward(self) -> None:
        self.patch_zone(BERLIN)
        eve = dt.datetime(2026, 3, 28, 1).astimezone()
        assert await self.follow("30 3 * * *", eve, 3) == ["28 03:30 CET", "29 03:30 CEST", "30 03:30 CEST"]
        # There is no 02:30 on the 29th.
        assert await self.follow("30 2 * * *", eve, 3) == ["28 02:30 CET", "29 03:30 CEST", "30 02:30 CEST"]
        assert await self.follow("30 2,3 * * 0", eve, 2) == ["29 03:30 CEST", "05 02:30 CEST"]

    async def test_clock_put_back(self) -> None:
        self.patch_zone(BERLIN)
        eve = dt.datetime(2026, 10, 24, 1).astimezone()
        # 02:30 comes twice on the 25th.
        assert await self.follow("30 2 * * *", eve, 3) == ["24 02:30 CEST", "25 02:30 CEST", "26 02:30 CET"]
        assert await self.follow("30 3 * * *", eve, 3) == ["24 03:30 CEST", "25 03:30 CET", "26 03:30 CET"]

    async def test_second_time_the_clock_shows_an_hour(self) -> None:
        self.patch_zone(BERLIN)
        again = dt.datetime(2026, 10, 25, 2, 10, fold=1).astimezone()
        assert await self.follow("30 2 * * *", again, 1) == ["26 02:30 CET"]

    async def test_clock_that_was_years_ahead(self) -> None:
        now = dt.datetime(2026, 1, 10, 12).astimezone()
        found = await self.next_time(dt.datetime(2036, 1, 10, 2, 30).astimezone(), now)
        assert now < found <= now + dt.timedelta(days=1)
        # One that is a moment early is not the same night again.
        night = dt.datetime(2026, 1, 10, 2, 30).astimezone()
        assert await self.next_time(night, night - dt.timedelta(seconds=1)) == night + dt.timedelta(days=1)

    async def test_one_that_runs_is_not_doubled(self) -> None:
        await self.request(complete=True)
        await self.clock.startBuild()
        assert self.started == ["one"]
        await self.request(complete=False)
        await self.clock.startBuild()
        assert self.started == ["one"]
