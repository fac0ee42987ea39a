from __future__ import annotations

from typing import Any

from buildbed import Ends, made_request
from buildbot.process.build import Build
from buildbot.process.factory import BuildFactory
from buildbot.process.results import CANCELLED, SKIPPED
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from minios_master.stoppable_build import StoppableBuild
from twisted.internet import defer
from twisted.trial import unittest


class Cancelled(TestReactorMixin, unittest.TestCase):  # type: ignore[misc]
    """Whoever looks for the request in the middle of the start finds it cancelled, or not."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.setup_test_reactor()
        self.master = yield fakemaster.make_master(self, wantDb=True, wantData=True, wantMq=True)

    def start(self, kind: type[Build], reason: Any) -> tuple[Any, Ends]:
        self.master.botmaster.remove_in_progress_buildrequest = lambda _brid: reason
        builder = Ends(self.master)
        build = kind([made_request()], builder)
        build.setStepFactories(BuildFactory().steps)
        return build, builder

    @defer.inlineCallbacks
    def test_buildbots_own_is_left_hanging(self) -> Any:
        build, builder = self.start(Build, "interrupted")
        yield build.startBuild(builder)
        # When this fails, Buildbot has mended it, and StoppableBuild can go.
        assert (build.stopped, build.finished, builder.ended) == (True, False, [])

    @defer.inlineCallbacks
    def test_ours_ends(self) -> Any:
        build, builder = self.start(StoppableBuild, "interrupted")
        yield build.startBuild(builder)
        assert (build.finished, builder.ended) == (True, [CANCELLED])
        told = yield self.master.data.get(("builds", build.buildid))
        assert (told["complete"], told["results"]) == (True, CANCELLED)
        assert told["state_string"] == "cancelled (interrupted)"

    @defer.inlineCallbacks
    def test_build_that_ends_by_itself_ends_once(self) -> Any:
        build, builder = self.start(StoppableBuild, False)
        builder.config.do_build_if = lambda _build: False
        yield build.startBuild(builder)
        assert (build.stopped, builder.ended) == (False, [SKIPPED])
