"""A master that is killed in the middle of a release, again and again, against a real registry."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from killbed import RELEASES, ReleaseMaster
from minios_master.settings import free_port
from registryhouse import TAGS
from registryrig import running_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = 20
SEED = 20240926


def test_killed_at_any_moment(
    need: Callable[..., None], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    need("docker-registry")
    moments = random.Random(SEED)  # noqa: S311  # the same moments each time
    outcomes: dict[str, int] = {"old": 0, "new": 0, "between": 0}
    with running_registry(tmp_path / "registry") as registry:
        master = ReleaseMaster(tmp_path / "work", registry.host, free_port("127.0.0.1"))
        try:
            master.start()
            indexes = {}
            began = time.monotonic()
            for name in RELEASES:
                indexes[name] = master.finish(master.begin(name))["index"]
            lasts = (time.monotonic() - began) / len(RELEASES)
            assert len(set(indexes.values())) == len(RELEASES)
            current = RELEASES[-1]
            for _ in range(KILLS):
                wanted = RELEASES[0] if current == RELEASES[1] else RELEASES[1]
                allowed = {indexes[current], indexes[wanted]}
                delay = moments.uniform(0, lasts)
                master.begin(wanted)
                # The moment itself is what is tested; nothing is waited for.
                time.sleep(delay)
                master.kill()
                house = master.houses[wanted]
                found = {tag: house.check(tag) for tag in TAGS}
                assert set(found.values()) <= allowed, f"after {delay:.3f} s: {found}"
                assert sorted(house.tags()) == sorted(TAGS)
                told = set(found.values())
                state = "between" if len(told) > 1 else "new" if told == {indexes[wanted]} else "old"
                outcomes[state] += 1
                master.start()
                report = master.finish(master.begin(wanted))
                assert report["outcome"] in ("released", "unchanged"), report
                assert {house.check(tag) for tag in TAGS} == {indexes[wanted]}
                current = wanted
        finally:
            if master.process:
                master.kill()
    record_property("tags after the kills", f"{outcomes}, a release lasts {lasts:.2f} s")
    assert outcomes["old"], "no kill came in time"
