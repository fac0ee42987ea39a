"""A builder with one worker, for builds that run without a master around them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.process.properties import Properties
from twisted.internet import defer

BRID = 7


class Ends:
    """A builder and its worker, which are told when a build has finished."""

    def __init__(self, master: Any) -> None:
        self.name = "x86_64"
        self.master = master
        self.config_version = 1
        self.ended: list[int] = []
        self.config = SimpleNamespace(do_build_if=lambda _build: True, env={})
        self.botmaster = master.botmaster
        self.worker = SimpleNamespace(
            workername="local-x86_64", workerid=3, info=Properties(), resetQuarantine=lambda: None
        )

    def getBuilderId(self) -> Any:  # noqa: N802
        return defer.succeed(77)

    def buildFinished(self, build: Any = None, _workerforbuilder: Any = None) -> None:  # noqa: N802
        if build is not None:
            self.ended.append(build.results)


def made_request() -> Any:
    """A build request."""
    return SimpleNamespace(
        id=BRID,
        properties=Properties(),
        mergeSourceStampsWith=lambda _others: [],
        mergeReasons=lambda _others: "",
    )
