"""`TriggerMatrix`: fan out over the cells, wait, and hear of every one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.data import resultspec
from buildbot.process.properties import Properties, Property
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, SUCCESS, WARNINGS
from buildbot.steps.trigger import Trigger
from twisted.internet.task import LoopingCall
from twisted.python import log

from minios_steps.core.errors import MiniosError
from minios_steps.core.plan import Cell, Plan, plan_matrix
from minios_steps.core.policy import GOOD, CellResult
from minios_steps.gather import child_result
from minios_steps.interrupted import cancel_left, comes_back, earlier_builds
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from minios_steps.core.config.project import Project


WATCH_SECONDS = 5.0
"""How often waiting and running cells are checked against their time limits."""


def scheduler_name(arch: str) -> str:
    """The Triggerable of an arch's builder."""
    return f"build-{arch}"


class _Noting:
    """A Triggerable that reports its build requests, and never lets the step wait for one it has not made.

    Buildbot's own leaves its second Deferred for ever when the database refuses the request.
    """

    def __init__(self, scheduler: Any, note: Callable[[str, Properties, int], None]) -> None:
        self.name: str = scheduler.name
        self._scheduler = scheduler
        self._note = note

    def trigger(self, *, set_props: Properties, **kwargs: Any) -> tuple[Any, Any]:
        """What `Triggerable.trigger` does and returns."""
        ids, results = self._scheduler.trigger(set_props=set_props, **kwargs)

        def made(found: tuple[int, dict[int, int]]) -> tuple[int, dict[int, int]]:
            for brid in found[1].values():
                self._note(self.name, set_props, brid)
            return found

        def refused(failure: Any) -> Any:
            if not results.called:
                results.callback((EXCEPTION, {}))
            return failure

        ids.addCallbacks(made, refused)
        return ids, results


class TriggerMatrix(MiniosStep, Trigger):  # type: ignore[misc]
    """Trigger one build per cell, each on its arch's own builder, and gather the outcomes.

    Args:
        project: the configuration.
        publish: makes the step that releases a version and variant; one is added to the
            build per release. None leaves publishing to the caller.
        versions, variants, arches: lists or renderables; empty takes the configuration's.
        child_properties: more properties for the cells' builds; may hold renderables.

    A cell whose arch has no connected worker is `no-worker` at once; one that nobody
    takes, or that runs too long, is cancelled and `timed-out`. Where the master ended
    in the middle and the matrix begins anew, workers that were there before are waited for.
    Sets the property `cells`, a list of `CellResult` in JSON form, one for every cell that was
    asked for.
    """

    name = "matrix"
    haltOnFailure = False
    renderables = ("versions", "variants", "arches")

    def __init__(
        self,
        *,
        project: Project,
        publish: Callable[[str, str], Any] | None = None,
        versions: Any = (),
        variants: Any = (),
        arches: Any = (),
        child_properties: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            schedulerNames=[scheduler_name(name) for name in project.nightly_arches],
            waitForFinish=True,
            # The version is a property; there is no checkout to pass on.
            alwaysUseLatest=True,
            set_properties=child_properties or {},
            **kwargs,
        )
        self.project = project
        self.publish = publish
        self.versions = versions
        self.variants = variants
        self.arches = arches
        self._begun_anew = False
        self._triggered: list[Cell] = []
        self._requests: dict[Cell, int] = {}
        self._results: dict[Cell, CellResult] = {}
        self._expired: dict[int, str] = {}
        self._idle_since: dict[int, float] = {}

    async def work(self) -> int:
        """Plan, trigger, watch, gather."""
        plan = plan_matrix(self.project, versions=self.versions, variants=self.variants, arches=self.arches)
        await self._sort_out(plan)
        # Trigger.interrupt() does nothing before there is something to cancel.
        if self.cancelled():
            return int(CANCELLED)
        watch = LoopingCall(self._watch)
        watch.clock = self.master.reactor
        watching = watch.start(WATCH_SECONDS, now=False)
        try:
            await Trigger.run(self)
        finally:
            watch.stop()
            await watching
        if self.cancelled():
            return int(CANCELLED)
        await self._gather()
        return self._conclude(plan)

    async def _sort_out(self, plan: Plan) -> None:
        """Split the plan into cells to trigger and cells nobody can take."""
        earlier = await earlier_builds(self.master, self.build.buildid)
        await cancel_left(self.master, earlier)
        self._begun_anew = bool(earlier)
        connected: dict[str, bool] = {}
        for cell in plan.cells:
            if cell.arch not in connected:
                connected[cell.arch] = await self._has_worker(cell.arch)
            if connected[cell.arch]:
                self._triggered.append(cell)
            else:
                self._results[cell] = CellResult.no_worker(cell, self.project.arches[cell.arch].attach)

    async def _has_worker(self, arch: str) -> bool:
        builder = await self._builder_id(arch)
        workers = await self.master.data.get(("builders", builder, "workers"))
        return any(
            (worker["connected_to"] and not worker["paused"]) or (self._begun_anew and comes_back(worker))
            for worker in workers
        )

    async def _builder_id(self, arch: str) -> int:
        builder: int = await self.master.data.updates.findBuilderId(arch)
        return builder

    def getSchedulersAndProperties(self) -> list[dict[str, Any]]:
        """One entry per cell: never one scheduler for several, which Buildbot would collapse."""
        return [
            {
                "sched_name": scheduler_name(cell.arch),
                "props_to_set": {
                    **self.set_properties,
                    "version": str(cell.version),
                    "variant": cell.variant,
                },
                "unimportant": False,
            }
            for cell in self._triggered
        ]

    def getSchedulerByName(self, name: str) -> _Noting:
        """The arch's Triggerable, which also tells which build request is of which cell."""
        return _Noting(Trigger.getSchedulerByName(self, name), self._note)

    def _note(self, scheduler: str, properties: Properties, brid: int) -> None:
        for cell in self._triggered:
            told = (str(cell.version), cell.variant)
            if scheduler == scheduler_name(cell.arch) and told == (
                properties["version"],
                properties["variant"],
            ):
                self._requests[cell] = brid

    async def _watch(self) -> None:
        """Look at the limits; a failure, as of a database that is away, must not end the watching."""
        try:
            await self._check_limits()
        except Exception as error:  # noqa: BLE001
            log.err(error, "while checking the cells' time limits")  # type: ignore[no-untyped-call]

    async def _check_limits(self) -> None:
        """Cancel what nobody takes and what runs too long."""
        policy = self.project.minios.policy
        now = self.master.reactor.seconds()
        # A matrix may have hundreds of cells: what is the same for all is asked once.
        left = {request["buildrequestid"]: request for request in await self._open_requests()}
        busy: dict[str, bool] = {}
        for cell, brid in list(self._requests.items()):
            if brid in self._expired or brid not in left:
                continue
            factor = self.project.arches[cell.arch].timeout_factor
            if left[brid]["claimed"]:
                builds = await self.master.data.get(("buildrequests", brid, "builds"))
                started = max((build["started_at"].timestamp() for build in builds), default=now)
                if now - started > policy.cell_timeout * factor:
                    await self._expire(brid, f"still running after {policy.cell_timeout * factor:.0f} s")
                continue
            if cell.arch not in busy:
                busy[cell.arch] = await self._is_busy(cell.arch)
            if busy[cell.arch]:
                self._idle_since.pop(brid, None)
            elif now - self._idle_since.setdefault(brid, now) > policy.claim_timeout:
                await self._expire(brid, f"no worker took it within {policy.claim_timeout} s")

    async def _open_requests(self) -> list[dict[str, Any]]:
        """Every build request that has not ended."""
        unfinished = resultspec.Filter("complete", "eq", [False])
        found: list[dict[str, Any]] = await self.master.data.get(("buildrequests",), filters=[unfinished])
        return found

    async def _is_busy(self, arch: str) -> bool:
        """Whether the arch's builder works on another cell meanwhile."""
        builder = await self._builder_id(arch)
        builds = await self.master.db.builds.getBuilds(builderid=builder, complete=False)
        return bool(builds)

    async def _expire(self, brid: int, reason: str) -> None:
        self._expired[brid] = reason
        await self.master.data.control("cancel", {"reason": reason}, ("buildrequests", brid))

    async def _gather(self) -> None:
        """Ask each child build how it ended; a cell without an answer is `failed`."""
        for cell, brid in self._requests.items():
            self._results[cell] = await child_result(self.master, cell, brid, self._expired.get(brid, ""))
        for cell in self._triggered:
            self._results.setdefault(cell, CellResult.failed(cell, "no answer from its build request"))

    def _conclude(self, plan: Plan) -> int:
        """Record the outcomes, add the publishing steps and judge the run."""
        results = [self._results[cell] for cell in plan.cells]
        self.setProperty("cells", [result.as_json() for result in results], self.name)
        self.setProperty("asked_arches", list(plan.arches), self.name)
        if self.publish is not None:
            steps = [self.publish(str(version), variant) for version, variant in plan.releases]
            self.build.addStepsAfterCurrentStep(steps)
        bad = [result for result in results if result.outcome not in GOOD]
        good = len(results) - len(bad)
        told = f"{good} of {len(results)} cells good"
        self.summary = told + "".join(f", {r.arch} {r.version} {r.variant}: {r.outcome}" for r in bad[:3])
        if any(self.project.role(result.arch) == "required" for result in bad):
            return int(FAILURE)
        return int(WARNINGS if any(result.outcome != "no-worker" for result in bad) else SUCCESS)

    def getCurrentSummary(self) -> dict[str, str]:
        """Cells done of all."""
        total = len(self._triggered)
        return {"step": f"{len(self._result_list)}/{total} cells done" if total else "planning"}

    def getResultSummary(self) -> dict[str, str]:
        """What was concluded."""
        return MiniosStep.getResultSummary(self)


def matrix_properties() -> dict[str, Any]:
    """The arguments that let a scheduler's properties choose the matrix."""
    return {name: Property(name, default=[]) for name in ("versions", "variants", "arches")}


__all__ = ["MiniosError", "TriggerMatrix", "matrix_properties", "scheduler_name"]
