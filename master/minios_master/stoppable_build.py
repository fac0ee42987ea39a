"""What all builds of a master share: one that is cancelled at the very moment it starts ends."""

from __future__ import annotations

from typing import Any

from buildbot.process.build import Build
from buildbot.process.results import CANCELLED
from twisted.internet import defer

from .plain_properties import PlainProperties


class StoppableBuild(Build):  # type: ignore[misc]
    """Buildbot's build, without a hole in its start.

    Where a build request is cancelled between its claim and the start of its build, Buildbot
    4.3 marks the build as stopped and returns from `Build.startBuild` without ending it: the
    request is never complete, who triggered it waits for ever, and the master does not stop.
    """

    def __init__(self, requests: Any, builder: Any) -> None:
        super().__init__(requests, builder)
        # Nothing is in them yet.
        self.properties = PlainProperties()

    @defer.inlineCallbacks
    def startBuild(self, workerforbuilder: Any) -> Any:
        """Start as the parent does; end what it left stopped before its preparation began."""
        yield super().startBuild(workerforbuilder)
        if self.stopped and not self.finished and self._preparation_step is None:
            yield self.buildFinished(["cancelled", f"({self.stopped_reason})"], CANCELLED)
