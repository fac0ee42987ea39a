"""`TriggerMatrix` on a fake master whose database, build requests and messages are real.

The test plays the workers: it takes build requests, lets builds run for a while and ends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.interfaces import ITriggerableScheduler
from buildbot.mq.simple import SimpleMQ
from buildbot.process.results import CANCELLED, RETRY, SUCCESS
from buildbot.test import fakedb
from releasebed import cell, make_project, put_candidate
from stepbed import StepCase
from twisted.internet import defer
from zope.interface import implementer

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.plan import Cell
from minios_steps.core.version import Version
from minios_steps.trigger_matrix import WATCH_SECONDS, TriggerMatrix, scheduler_name

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKER = 400
"""The fake master's own worker, which takes every build."""
STAMP = {"codebase": "", "repository": "", "project": "", "branch": None, "revision": None}
"""What Buildbot's own gives a build without a checkout."""
NUMBERS = {"x86_64": 1, "aarch64": 2, "sw64": 3, "riscv64": 4}


@implementer(ITriggerableScheduler)
class Triggerable:
    """Makes real build requests; `refusing` fails as Buildbot's own does when the database is away."""

    def __init__(self, master: Any, arch: str) -> None:
        self.name = scheduler_name(arch)
        self.master = master
        self.builder = 500 + NUMBERS[arch]
        self.refusing = False

    def trigger(self, *, waited_for: bool, set_props: Any, **_: Any) -> tuple[Any, Any]:
        results: defer.Deferred[Any] = defer.Deferred()
        return defer.ensureDeferred(self._add(waited_for, set_props, results)), results

    async def _add(self, waited_for: bool, properties: Any, results: Any) -> Any:  # noqa: FBT001
        if self.refusing:
            raise RuntimeError("the database is away")
        found = await self.master.data.updates.addBuildset(
            waited_for,
            scheduler=self.name,
            sourcestamps=[STAMP],
            properties=properties.asDict(),
            builderids=[self.builder],
        )
        buildset, requests = found

        def complete(_key: Any, message: Any) -> None:
            results.callback((message["results"], requests))

        await self.master.mq.startConsuming(complete, ("buildsets", str(buildset), "complete"))
        return found


class MatrixCase(StepCase):
    """A matrix over `releasebed`'s project; a subclass calls `matrix()` and plays the workers."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        yield super().setUp()
        # The fake one delivers nothing, and waiting is what this step does.
        self.master.mq = SimpleMQ()
        yield self.master.mq.startConsuming(
            lambda key, message: self._cancel(int(key[2]), message["reason"]),
            ("control", "buildrequests", None, "cancel"),
        )
        rows: list[Any] = []
        for arch, number in NUMBERS.items():
            rows += [
                fakedb.Builder(id=500 + number, name=arch),
                fakedb.BuilderMaster(id=600 + number, builderid=500 + number, masterid=self.master.masterid),
                fakedb.Worker(id=700 + number, name=f"{arch}-worker"),
                fakedb.ConfiguredWorker(id=800 + number, buildermasterid=600 + number, workerid=700 + number),
            ]
        yield self.master.db.insert_test_data(rows)
        self.schedulers = {arch: Triggerable(self.master, arch) for arch in NUMBERS}
        self.master.scheduler_manager = self
        self.namedServices = {one.name: one for one in self.schedulers.values()}
        self.cancelled: list[str] = []
        self.slow_to_cancel = False
        self.published: list[tuple[str, str]] = []
        self.added: list[Any] = []

    def matrix(
        self,
        changes: Mapping[str, str | None] | None = None,
        *,
        kind: type[TriggerMatrix] = TriggerMatrix,
        **kwargs: Any,
    ) -> Any:
        """The step; `published` lists what it made publishing steps for, `added` those steps."""
        self.project = make_project(self.folder / "config", changes)
        self.store = CandidateStore(self.folder / "store")

        def publish(version: str, variant: str) -> str:
            self.published.append((version, variant))
            return f"publish {version} {variant}"

        options = {"publish": publish, **kwargs}
        step = self.setup_step(kind(project=self.project, **options))
        self.build.addStepsAfterCurrentStep = self.added.extend
        # A disconnected worker is one that has no connection.
        self.build.conn = object()
        return step

    async def connect(self, *arches: str) -> None:
        """Connect a worker for each arch."""
        for arch in arches:
            await self.master.data.updates.workerConnected(700 + NUMBERS[arch], self.master.masterid, {})

    async def requests(self) -> dict[Cell, int]:
        """The build request of each cell, by what the request says of itself."""
        found = {}
        for request in await self.master.data.get(("buildrequests",)):
            if request["builderid"] < 500:
                continue
            said = await self.master.data.get(("buildsets", request["buildsetid"], "properties"))
            arch = next(name for name, number in NUMBERS.items() if 500 + number == request["builderid"])
            made = Cell(Version.parse(said["version"][0]), said["variant"][0], arch)
            assert made not in found, f"two build requests for {made}"
            found[made] = request["buildrequestid"]
        return found

    async def start(self, made: Cell | str) -> int:
        """A worker takes a cell's build request; returns the build."""
        made = cell(made) if isinstance(made, str) else made
        brid = (await self.requests())[made]
        builder = 500 + NUMBERS[made.arch]
        await self.master.data.updates.claimBuildRequests([brid])
        build, _number = await self.master.data.updates.addBuild(builder, brid, WORKER)
        return int(build)

    async def finish(
        self, build: int, results: int = SUCCESS, *, state: str = "", complete: bool = True, **said: Any
    ) -> None:
        """A build ends, with properties that it has set; `complete=False` leaves its request open."""
        for name, value in said.items():
            await self.master.data.updates.setBuildProperty(build, name, value, "test")
        if state:
            await self.master.data.updates.setBuildStateString(build, state)
        await self.master.data.updates.finishBuild(build, results)
        if complete:
            told = await self.master.data.get(("builds", build))
            await self.master.data.updates.completeBuildRequests([told["buildrequestid"]], results)

    async def build_well(self, made: Cell | str, **said: Any) -> dict[str, Any]:
        """A cell's build from start to a candidate, which is returned."""
        made = cell(made) if isinstance(made, str) else made
        candidate = put_candidate(self.store, self.project, made).as_json()
        await self.finish(await self.start(made), candidate=candidate, **said)
        return candidate

    def outcomes(self) -> dict[str, str]:
        """The outcome of each cell of the property `cells`, with its reason."""
        return {
            f"{told['arch']} {told['version']}": ": ".join(filter(None, (told["outcome"], told["reason"])))
            for told in self.property("cells")
        }

    async def pass_time(self, seconds: int) -> None:
        """Let the clock run, in steps as long as those between two looks at the limits."""
        for _ in range(seconds // int(WATCH_SECONDS)):
            self.reactor.advance(WATCH_SECONDS)

    async def cancel(self, made: Cell, reason: str) -> None:
        """Somebody cancels a cell's build request."""
        brid = (await self.requests())[made]
        await self.master.data.control("cancel", {"reason": reason}, ("buildrequests", brid))

    async def complete(self, made: Cell, results: int) -> None:
        """A build request ends without a build of its own."""
        brid = (await self.requests())[made]
        await self.master.data.updates.claimBuildRequests([brid])
        await self.master.data.updates.completeBuildRequests([brid], results)

    async def lose(self, build: int, made: Cell) -> None:
        """A worker is lost in the middle of a build, whose request waits for another."""
        await self.finish(build, RETRY, complete=False)
        await self.master.data.updates.unclaimBuildRequests([(await self.requests())[made]])

    def _cancel(self, brid: int, reason: str) -> None:
        """What Buildbot's own master does when a build request is cancelled: not at once."""
        self.cancelled.append(reason)
        if not self.slow_to_cancel:
            self.reactor.callLater(0, lambda: defer.ensureDeferred(self._end(brid, reason)))

    async def _end(self, brid: int, reason: str) -> None:
        if (await self.master.data.get(("buildrequests", brid)))["complete"]:
            return
        builds = await self.master.data.get(("buildrequests", brid, "builds"))
        running = [build["buildid"] for build in builds if not build["complete"]]
        if running:
            await self.finish(running[-1], CANCELLED, state=f"cancelled ({reason})")
        else:
            await self.master.data.updates.claimBuildRequests([brid])
            await self.master.data.updates.completeBuildRequests([brid], CANCELLED)
