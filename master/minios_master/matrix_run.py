"""One run of the matrix, from a started master to its outcome; used by `minios matrix`."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.errors import MiniosError

from .api import NoAnswerError
from .progress import Follower, MatrixProgress
from .signals import held_back
from .user import who_asks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .api import MasterApi

POLL_SECONDS = 0.25
"""How often the end of a run is looked for; one look costs the master some 5 ms."""
SHOW_SECONDS = 2.0
"""How often everything is read for the display: it costs the master what a compiler could use."""
STOP_SECONDS = 20


@dataclass(frozen=True)
class Choices:
    """What a run is asked for; empty takes what the configuration says."""

    versions: Sequence[str] = ()
    variants: Sequence[str] = ()
    arches: Sequence[str] = ()
    jobs: int = 0
    force: bool = False
    backend: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `CellResult` and `ReleaseReport` in JSON form, and wall-clock seconds."""

    cells: tuple[dict[str, Any], ...]
    releases: tuple[dict[str, Any], ...]
    seconds: float
    problem: str


class MatrixRun:
    """Queues a matrix build, follows it, and can stop it.

    Args:
        api: a running master.
        show: is given each state of the run.
    """

    def __init__(self, api: MasterApi, show: Callable[[MatrixProgress], None]) -> None:
        self._api = api
        self._show = show
        self._brid = 0
        self._build = 0

    def run(self, choices: Choices) -> Outcome:
        """Run to the end; whatever interrupts it, the builds are stopped first.

        Raises:
            NoAnswerError: the master went away.
            MiniosError: it ended the run without an outcome.
        """
        started = time.monotonic()
        told = self.run_queued(
            lambda: self._api.force_matrix(
                versions=list(choices.versions),
                variants=list(choices.variants),
                arches=list(choices.arches),
                jobs=choices.jobs,
                force_rebuild=choices.force,
                # Nobody logs in: this is all that a release's record can tell of who asked.
                reason=f"minios matrix, by {who_asks()}",
                backend=choices.backend,
            )
        )
        if "cells" not in told:
            raise MiniosError(str(told.get("problem") or "the matrix build ended without an outcome"))
        return Outcome(
            cells=tuple(told["cells"]),
            releases=tuple(told.get("releases", ())),
            seconds=time.monotonic() - started,
            problem=str(told.get("problem", "")),
        )

    def run_queued(self, queue: Callable[[], int]) -> dict[str, Any]:
        """Run whatever `queue` queues to the end; whatever interrupts it, the builds are stopped first.

        Args:
            queue: gives the id of the build request.

        Returns:
            The build's properties.

        Raises:
            NoAnswerError: the master went away.
            MiniosError: somebody cancelled it before it started.
        """
        try:
            # Interrupted in the middle, nobody would know which build to stop.
            with held_back():
                self._brid = queue()
            self._follow()
            return self._api.properties(self._build)
        except NoAnswerError:
            raise
        except BaseException:
            self._stop()
            raise

    def _follow(self) -> None:
        while not self._build:
            build = self._api.build_of_request(self._brid)
            if build is not None:
                self._build = build["buildid"]
            elif self._api.request(self._brid)["complete"]:
                raise MiniosError("the build was cancelled before it started")
            else:
                time.sleep(POLL_SECONDS / 5)
        follower = Follower(self._api, self._build)
        shown = 0.0
        while True:
            if time.monotonic() - shown >= SHOW_SECONDS or self._api.is_complete(self._build):
                progress = follower.poll()
                self._show(progress)
                shown = time.monotonic()
                if progress.complete:
                    return
            time.sleep(POLL_SECONDS)

    def _stop(self) -> None:
        """Stop the builds and wait until they have ended, so that nothing is left half done."""
        if not self._brid:
            return
        with contextlib.suppress(MiniosError):
            self._api.control(f"buildrequests/{self._brid}", "cancel", reason="interrupted")
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline and not self._api.request(self._brid)["complete"]:
                time.sleep(POLL_SECONDS / 5)
