"""A master that is killed in the middle of a release, again and again, against a real registry."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
from killbed import RELEASES, ReleaseMaster
from minios_master.settings import free_port
from registryhouse import TAGS
from registryrig import RealRegistry, running_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = 20
SEED = 20240926
WRITES = ("PUT", "POST")
SECONDS = 30


def test_killed_at_any_moment(need: Callable[..., None], tmp_path: Path) -> None:
    need("docker-registry")
    moments = random.Random(SEED)  # noqa: S311  # the same moments each time
    seen = {"old": 0, "new": 0, "between": 0}
    with running_registry(tmp_path / "registry") as registry:
        master = ReleaseMaster(tmp_path / "work", registry.host, free_port("127.0.0.1"))
        try:
            master.start()
            indexes = {}
            # The first of each sends images too; what is measured is one that comes later.
            for name in (*RELEASES, *RELEASES):
                began, before = time.monotonic(), len(registry.asked(*WRITES))
                indexes[name] = master.finish(master.begin(name))["index"]
            lasts, writes = time.monotonic() - began, len(registry.asked(*WRITES)) - before
            assert len(set(indexes.values())) == len(RELEASES)
            for number in range(KILLS):
                wanted, other = RELEASES[number % 2], RELEASES[1 - number % 2]
                so_far = len(registry.asked(*WRITES))
                master.begin(wanted)
                # Half of them at any time; half while it writes, which is the shorter part.
                if moments.random() < 0.5:
                    time.sleep(moments.uniform(0, lasts))
                else:
                    wait_for_writes(registry, so_far + moments.randint(1, writes))
                master.kill()
                house = master.houses[wanted]
                found = {tag: house.check(tag) for tag in TAGS}
                assert set(found.values()) <= set(indexes.values()), found
                assert sorted(house.tags()) == sorted(TAGS)
                seen[state(set(found.values()), indexes[other], indexes[wanted])] += 1
                master.start()
                report = master.finish(master.begin(wanted))
                assert report["outcome"] in ("released", "unchanged"), report
                assert {house.check(tag) for tag in TAGS} == {indexes[wanted]}
        finally:
            if master.process:
                master.kill()
    assert seen["old"], f"no kill came in time: {seen}"
    assert seen["new"] + seen["between"], f"all kills came too early: {seen}"


def wait_for_writes(registry: RealRegistry, count: int) -> None:
    """Wait until the registry has been sent so many things; a release that had less to send has ended."""
    until = time.monotonic() + SECONDS
    while len(registry.asked(*WRITES)) < count:
        if time.monotonic() > until:
            pytest.fail("the release did not get so far")
        time.sleep(0.001)


def state(found: set[str], old: str, new: str) -> str:
    return "old" if found == {old} else "new" if found == {new} else "between"
