"""`PropertyWrites` on a real database: what Buildbot would have written, in one transaction."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.process.properties import Interpolate, Properties
from buildbot.test import fakedb
from databed import DataCase
from minios_master.plain_properties import PlainProperties
from minios_master.property_writes import PropertyWrites
from twisted.internet import defer

BUILD = 5


class Writes(DataCase):
    @defer.inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        yield super().setUp()
        master = self.master.masterid
        yield self.master.db.insert_test_data(
            [
                fakedb.Builder(id=7),
                fakedb.Worker(id=3),
                fakedb.Buildset(id=1),
                fakedb.BuildRequest(id=2, buildsetid=1, builderid=7),
                *(
                    fakedb.Build(id=n, number=n, buildrequestid=2, builderid=7, workerid=3, masterid=master)
                    for n in (BUILD, BUILD + 1)
                ),
            ]
        )
        self.transactions: list[dict[str, tuple[str, str]]] = []
        self.buildbots = self.master.data.updates.setBuildProperties
        self.service = PropertyWrites()
        yield self.service.setServiceParent(self.master)
        replace = self.service._replace
        self.patch(
            self.service, "_replace", lambda *args: self.transactions.append(args[2]) or replace(*args)
        )

    def properties(self, kind: type[Properties] = PlainProperties, **told: Any) -> Any:
        real = kind.fromDict({name: (value, "Build") for name, value in told.items()})
        real.build = SimpleNamespace()
        return SimpleNamespace(getProperties=lambda: real, real=real)

    async def write(self, build: Any, number: int = BUILD) -> list[Any]:
        """Write a build's properties; returns what is told to who listens."""
        self.master.mq.clearProductions()
        await self.master.data.updates.setBuildProperties(number, build)
        return list(self.master.mq.productions)

    async def stored(self, number: int = BUILD) -> Any:
        return await self.master.db.builds.getBuildProperties(number)

    async def test_what_buildbot_writes(self) -> None:
        told = {"text": "é", "list": [1, {"a": None}], "late": Interpolate("%(prop:text)s!")}
        heard = await self.write(self.properties(**told))
        self.master.mq.clearProductions()
        await self.buildbots(BUILD + 1, self.properties(Properties, **told))
        assert await self.stored() == await self.stored(BUILD + 1)
        assert (await self.stored())["late"] == ("é!", "Build")
        told_by_buildbot = [message for _key, message in self.master.mq.productions]
        assert [message for _key, message in heard] == told_by_buildbot
        assert heard[0][0] == ("builds", str(BUILD), "properties", "update")
        assert len(self.transactions) == 1

    async def test_only_what_changed(self) -> None:
        build = self.properties(kept="a", changed=[1], source="s")
        await self.write(build)
        assert await self.write(build) == []
        assert len(self.transactions) == 1, "nothing is written where nothing changed"
        build.real.getProperty("changed").append(2)
        build.real.setProperty("source", "s", "another")
        build.real.setProperty("new", None, "Step")
        [(_key, message)] = await self.write(build)
        expected = {"changed": ([1, 2], "Build"), "source": ("s", "another"), "new": (None, "Step")}
        assert message == expected
        assert set(self.transactions[1]) == set(expected)
        assert await self.stored() == {"kept": ("a", "Build"), **expected}

    async def test_what_could_not_be_written_is_written_the_next_time(self) -> None:
        build = self.properties(name="value")

        def fail(*_: Any) -> None:
            raise OSError("disk full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.service, "_replace", fail)
            with pytest.raises(OSError, match="disk full"):
                await self.write(build)
        assert self.flushLoggedErrors(OSError)
        assert await self.stored() == {}
        assert await self.write(build)
        assert await self.stored() == {"name": ("value", "Build")}

    async def test_two_at_once(self) -> None:
        build = self.properties(name=1)
        first = defer.ensureDeferred(self.write(build))
        build.real.setProperty("name", 2, "Build")
        await defer.gatherResults([first, defer.ensureDeferred(self.write(build))])
        assert await self.stored() == {"name": (2, "Build")}

    async def test_what_is_no_json_is_left_to_buildbot(self) -> None:
        build = self.properties(good="a", odd="b", later="c")
        build.real.properties["odd"] = ({1, 2}, "Build")
        with pytest.raises(TypeError, match="not JSON serializable"):
            await self.write(build)
        self.flushLoggedErrors(TypeError)
        assert await self.stored() == {"good": ("a", "Build")}

    async def test_what_another_has_written_is_written_over(self) -> None:
        await self.buildbots(BUILD, self.properties(Properties, name="old", other="kept"))
        await self.write(self.properties(name="new"))
        assert await self.stored() == {"name": ("new", "Build"), "other": ("kept", "Build")}

    async def test_other_builds_are_left_to_buildbot(self) -> None:
        await self.write(self.properties(Properties, name="value"))
        assert self.transactions == []
        assert await self.stored() == {"name": ("value", "Build")}

    async def test_it_ends_with_the_service(self) -> None:
        await self.service.disownServiceParent()
        assert self.master.data.updates.setBuildProperties == self.buildbots
