"""`CandidateScheduler`: one build for each Change, whenever the master died."""

from __future__ import annotations

from typing import Any

import pytest
from buildbot.test import fakedb
from databed import DataCase
from minios_master import candidate_scheduler
from minios_master.candidate_scheduler import CandidateScheduler
from twisted.internet import defer

CATEGORY = "release"


class Candidates(DataCase):
    """The scheduler on a fake master whose database and data API are real."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        yield super().setUp()
        yield self.master.db.insert_test_data([fakedb.Builder(id=1, name="matrix")])

    async def start(self) -> CandidateScheduler:
        """A master's scheduler, as it is after the master's start."""
        made = CandidateScheduler(name="candidates", category=CATEGORY, builderNames=["matrix"])
        await made.setServiceParent(self.master)
        assert made.active
        return made

    async def die(self, scheduler: CandidateScheduler) -> None:
        await scheduler.disownServiceParent()

    async def announce(self, version: str, category: str = CATEGORY) -> int:
        """A Change; returns its number."""
        number: int = await self.master.data.updates.addChange(
            author="upstream", comments="", revision=version, category=category, project="", repository=""
        )
        return number

    async def hear(self, scheduler: CandidateScheduler, number: int) -> None:
        """The master tells its schedulers of a Change."""
        await scheduler._changeCallback(
            None, {"changeid": number}, None, scheduler.change_filter, onlyImportant=False
        )

    async def queued(self) -> list[str]:
        """The versions of which there are builds, in order."""
        found = await self.master.data.get(("buildsets",), order=("bsid",))
        return [one["sourcestamps"][0]["revision"] for one in found]

    async def test_each_change_gets_a_build_of_its_own(self) -> None:
        scheduler = await self.start()
        for version in ("1.37.0", "1.38.0"):
            await self.hear(scheduler, await self.announce(version))
        assert await self.queued() == ["1.37.0", "1.38.0"]

    async def test_other_changes_are_not_its_own(self) -> None:
        scheduler = await self.start()
        await self.hear(scheduler, await self.announce("1.38.0", "another"))
        await self.die(scheduler)
        await self.start()
        assert await self.queued() == []

    async def test_the_master_died_before_the_build_was_queued(self) -> None:
        scheduler = await self.start()
        await self.hear(scheduler, await self.announce("1.37.0"))
        await self.announce("1.38.0")
        await self.die(scheduler)
        await self.die(await self.start())
        assert await self.queued() == ["1.37.0", "1.38.0"]
        await self.start()
        assert await self.queued() == ["1.37.0", "1.38.0"]

    async def test_several_are_made_up_for_in_order(self) -> None:
        await self.die(await self.start())
        for version in ("1.36.0", "1.37.0", "1.38.0"):
            await self.announce(version)
        await self.die(await self.start())
        assert await self.queued() == ["1.36.0", "1.37.0", "1.38.0"]
        await self.start()
        assert len(await self.queued()) == 3

    async def test_what_came_while_it_was_switched_off(self) -> None:
        scheduler = await self.start()

        def switch(*, on: bool) -> Any:
            done = scheduler._enabledCallback(None, {"enabled": on})
            assert isinstance(done, defer.Deferred), "Buildbot throws away whatever else there is"
            return done

        await switch(on=False)
        await self.hear(scheduler, await self.announce("1.37.0"))
        assert await self.queued() == []
        await switch(on=True)
        assert await self.queued() == ["1.37.0"]
        await self.hear(scheduler, await self.announce("1.38.0"))
        assert await self.queued() == ["1.37.0", "1.38.0"]

    async def test_the_master_died_before_it_remembered(self) -> None:
        scheduler = await self.start()
        self.patch(scheduler, "_remember", lambda _number: defer.succeed(None))
        await self.hear(scheduler, await self.announce("1.38.0"))
        await self.die(scheduler)
        await self.start()
        assert await self.queued() == ["1.38.0"]

    async def test_what_is_told_late_is_not_built_twice(self) -> None:
        await self.die(await self.start())
        number = await self.announce("1.38.0")
        scheduler = await self.start()
        await self.hear(scheduler, number)
        assert await self.queued() == ["1.38.0"]

    async def test_one_that_could_not_be_queued_is_queued_by_the_next_master(self) -> None:
        scheduler = await self.start()
        first, second = await self.announce("1.37.0"), await self.announce("1.38.0")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scheduler, "addBuildsetForChanges", lambda **_: defer.fail(OSError("disk full")))
            await self.hear(scheduler, first)
        assert self.flushLoggedErrors(OSError)
        await self.hear(scheduler, second)
        assert await self.queued() == ["1.38.0"]
        await self.die(scheduler)
        await self.start()
        assert await self.queued() == ["1.38.0", "1.37.0"]

    async def test_the_first_one_comes_while_it_starts(self) -> None:
        store = CandidateScheduler._store

        async def announced_meanwhile(scheduler: CandidateScheduler) -> None:
            await store(scheduler)
            if not scheduler._done:
                await self.announce("1.38.0")

        self.patch(CandidateScheduler, "_store", announced_meanwhile)
        await self.start()
        assert await self.queued() == ["1.38.0"]

    async def test_it_remembers_no_more_than_it_needs(self) -> None:
        self.patch(candidate_scheduler, "_REMEMBERED", 2)
        scheduler = await self.start()
        for version in ("1.35.0", "1.36.0", "1.37.0", "1.38.0"):
            await self.hear(scheduler, await self.announce(version))
        assert len(scheduler._done) == 2
        await self.die(scheduler)
        await self.start()
        assert len(await self.queued()) == 4

    async def test_changes_of_before_it_remembered_anything(self) -> None:
        await self.announce("1.37.0")
        scheduler = await self.start()
        assert await self.queued() == []
        await self.hear(scheduler, await self.announce("1.38.0"))
        assert await self.queued() == ["1.38.0"]
