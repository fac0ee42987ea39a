from __future__ import annotations

from typing import Any

import pytest
from masterbed import cell, release
from minios_master.notices import events
from minios_master.notices.events import Notice, Told

ROLES = {"x86_64": "required", "aarch64": "required", "sw64": "optional"}


class Listener:
    """Somebody who is told what happens, build after build."""

    def __init__(self) -> None:
        self.told = Told()
        self.builds = 0

    def take(self, judged: events.Judged) -> list[Notice]:
        self.told, notices = judged
        # What is kept in a database is what comes back from it.
        assert Told.from_json(self.told.as_json()) == self.told
        return notices

    def build(self, *cells: dict[str, Any], **properties: Any) -> list[str]:
        return [notice.event for notice in self.notices(*cells, **properties)]

    def notices(self, *cells: dict[str, Any], **properties: Any) -> list[Notice]:
        self.builds += 1
        said = {"cells": list(cells), **properties}
        role = lambda arch: ROLES.get(arch, "candidate")  # noqa: E731
        return self.take(events.matrix_ended(self.told, f"build {self.builds}", said, "", role))


def test_first_failure_and_recovery_once_each() -> None:
    somebody = Listener()
    assert somebody.build(cell("x86_64")) == []
    [notice] = somebody.notices(cell("x86_64", "failed"))
    assert notice.event == "first-failure"
    assert notice.subject == "x86_64 1.38.0 static: failed"
    assert notice.lines == ("x86_64 1.38.0 static: failed: because", "build 2")
    assert notice.text == ("x86_64 1.38.0 static: failed\n\nx86_64 1.38.0 static: failed: because\nbuild 2\n")
    # It goes on failing, in one way or another.
    for outcome in ("failed", "timed-out", "refused"):
        assert somebody.build(cell("x86_64", outcome)) == []
    [again] = somebody.notices(cell("x86_64", "reused"))
    assert (again.event, again.subject) == ("recovery", "x86_64 1.38.0 static: good again")
    assert somebody.build(cell("x86_64")) == []
    [second] = somebody.notices(cell("x86_64", "failed"))
    # The same a month later is another event.
    assert second.identity != notice.identity


def test_many_at_once_are_one_message() -> None:
    somebody = Listener()
    cells = [cell(f"arch{number}", "failed") for number in range(12)]
    [notice] = somebody.notices(*cells)
    assert notice.subject == "arch0 1.38.0 static and 11 more: failed"
    assert len(notice.data["cells"]) == 12
    assert somebody.build(*cells) == []
    [notice] = somebody.notices(*(cell(f"arch{number}") for number in range(12)))
    assert notice.event == "recovery"


def test_cell_that_was_not_asked_for_stays_as_it_was() -> None:
    somebody = Listener()
    assert somebody.build(cell("x86_64", "failed")) == ["first-failure"]
    assert somebody.build(cell("aarch64")) == []
    assert somebody.build(cell("x86_64")) == ["recovery"]


def test_run_without_an_outcome() -> None:
    somebody = Listener()
    role = lambda _arch: "required"  # noqa: E731
    for expected in (["first-failure"], []):
        found = somebody.take(events.matrix_ended(somebody.told, "b", {}, "config is wrong", role))
        assert [notice.event for notice in found] == expected
    assert somebody.build(cell("x86_64")) == ["recovery"]


def test_required_arch_without_a_worker() -> None:
    somebody = Listener()
    lost = cell("x86_64", "no-worker", attach="attach one")
    [notice] = somebody.notices(lost, cell("sw64", "no-worker"))
    assert notice.event == "missing-worker"
    assert notice.subject == "a worker for x86_64, which is required, is missing"
    assert notice.lines[0] == "attach one"
    assert somebody.build(lost) == []
    assert somebody.build(cell("x86_64", "failed")) == ["first-failure", "worker-back"]


def test_several_cells_of_an_arch_without_a_worker_are_one_event() -> None:
    somebody = Listener()
    lost = [cell("x86_64", "no-worker", variant=variant) for variant in ("static", "dynamic")]
    assert somebody.build(*lost) == ["missing-worker"]
    assert somebody.build(*(cell("x86_64", variant=v) for v in ("static", "dynamic"))) == ["worker-back"]


def test_worker_that_was_paused() -> None:
    somebody = Listener()
    for when in ("1", "2"):
        [notice] = somebody.take(events.worker_paused(somebody.told, "one", "lost 3 builds in a row", when))
        assert (notice.event, notice.subject) == ("worker-paused", "worker one is paused")
        assert notice.lines == ("lost 3 builds in a row", "minios worker resume one")
        assert notice.data == {"worker": "one", "reason": "lost 3 builds in a row"}


def test_worker_that_stays_away() -> None:
    somebody = Listener()
    assert somebody.take(events.worker_connected(somebody.told, "one", "1")) == []
    [notice] = somebody.take(events.worker_missing(somebody.told, "one", "Monday"))
    assert (notice.subject, notice.lines) == ("worker one is missing", ("since Monday",))
    assert somebody.take(events.worker_missing(somebody.told, "one", "Tuesday")) == []
    [notice] = somebody.take(events.worker_connected(somebody.told, "one", "2"))
    assert notice.event == "worker-back"
    assert somebody.take(events.worker_connected(somebody.told, "one", "3")) == []


def test_release_is_published_once_for_each_index() -> None:
    somebody = Listener()
    [notice] = somebody.notices(releases=[release()])
    assert notice.event == "release-published"
    assert notice.subject == "BusyBox 1.38.0 static is released as 1.38.0, latest"
    assert somebody.build(releases=[release(), release("unchanged"), release("blocked")]) == []
    assert somebody.build(releases=[release(index="sha256:" + "e" * 64)]) == ["release-published"]
    # A candidate, and the release of the same index.
    other = release(version="1.40.0", tags=["1.40.0-rc"], candidate=True)
    assert somebody.build(releases=[other]) == []
    released = {**other, "tags": ["1.40.0"], "candidate": False}
    assert somebody.build(releases=[other, released]) == ["release-published"]


def test_candidate_waits_once() -> None:
    somebody = Listener()
    assert somebody.build(waiting=["1.40.0"]) == ["release-waits"]
    assert somebody.build(waiting=["1.40.0"]) == []


def test_upstreams_releases() -> None:
    somebody = Listener()
    comments = "BusyBox 1.40.0 (unstable) is out\n\nsha256 x\nsigned by y"
    found = lambda: events.release_found(somebody.told, "1.40.0", comments, {"upstream_url": "u"})  # noqa: E731
    [notice] = somebody.take(found())
    assert (notice.event, notice.subject) == ("new-release", "BusyBox 1.40.0 (unstable) is out")
    assert notice.lines == ("sha256 x", "signed by y")
    assert notice.data == {"version": "1.40.0", "upstream_url": "u"}
    assert somebody.take(found()) == []
    bad = lambda why: events.release_bad(somebody.told, "1.41.0", "a place", why)  # noqa: E731
    [notice] = somebody.take(bad("why"))
    assert notice.subject == "BusyBox 1.41.0 at a place is bad and is not built"
    assert somebody.take(bad("why")) == []
    assert len(somebody.take(bad("another reason"))) == 1


@pytest.mark.parametrize("data", [None, [], {}, {"failing": 1}])
def test_memory_that_is_damaged(data: Any) -> None:
    assert Told.from_json(data) == Told()
