"""A discovered release is written as a candidate, and the same images become the release."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from registrybed import serving
from registryhouse import RegistryHouse
from releasebed import ALL, House, failed

from minios_steps.core.digest import Digest
from minios_steps.core.oci import annotations as keys
from minios_steps.core.records import find_records
from minios_steps.core.upstream.discoveries import Discovered, Discoveries
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

NEW = Version.parse("1.40.0")


def discover(house: House | RegistryHouse, folder: Path) -> Discoveries:
    file = Discoveries(folder / "releases.json")
    file.add(Discovered("1.40.0", "c" * 64, 1, "https://example.org/x", "F" * 40, (), (), "now"))
    house.project = dataclasses.replace(house.project, discoveries=file)
    return file


def house_with_candidate(folder: Path) -> tuple[House, Discoveries]:
    house = House(folder)
    return house, discover(house, folder)


def test_candidate_then_release_in_one_build(tmp_path: Path) -> None:
    house, file = house_with_candidate(tmp_path)
    house.publish(house.good(*ALL))
    report, final = house.publish(house.good(*ALL, version=NEW), version=NEW)
    assert (report.outcome, report.tags, report.candidate) == ("released", ("1.40.0-rc",), True)
    assert house.tags == ["1.38", "1.38.0", "1.40.0-rc", "latest"]
    assert house.index("1.40.0-rc").annotations[keys.SOURCE_SHA256] == "c" * 64
    file.mark_passed("1.40.0")
    file.approve("1.40.0", "policy auto")
    # The cells are as the first step has left them.
    after, _ = house.publish(list(final.values()), version=NEW)
    assert (after.outcome, after.tags) == ("released", ("1.40.0", "1.40", "latest"))
    assert not after.candidate
    assert after.index == report.index
    assert house.platforms("latest") == ["linux/amd64", "linux/arm64", "linux/sw64"]
    # The older one is built again, and keeps to its own tags.
    house.publish(house.good(*ALL))
    assert house.index("latest").annotations[keys.VERSION] == "1.40.0"
    assert house.index("1.38").annotations[keys.VERSION] == "1.38.0"


def test_candidate_that_is_not_good_is_not_written(tmp_path: Path) -> None:
    house, _ = house_with_candidate(tmp_path)
    report, _ = house.publish([*house.good("x86_64", version=NEW), failed("aarch64", NEW)], version=NEW)
    assert report.outcome == "blocked"
    assert not house.layout.exists


def test_candidate_then_release_in_a_registry(tmp_path: Path) -> None:
    with serving() as bed:
        house = RegistryHouse(tmp_path, bed.host)
        file = discover(house, tmp_path)
        house.publish(house.good(*ALL))
        good = house.good(*ALL, version=NEW)
        report = house.publish(good, version=NEW).report
        assert (report.outcome, report.tags) == ("released", ("1.40.0-rc",))
        assert house.index("latest").annotations[keys.VERSION] == "1.38.0"
        file.mark_passed("1.40.0")
        file.approve("1.40.0", "somebody")
        after = house.publish(good, version=NEW).report
        assert (after.outcome, after.index) == ("released", report.index)
        assert set(after.tags) == {"1.40.0", "1.40", "latest"}
        assert house.index("latest").annotations[keys.VERSION] == "1.40.0"
        with house.connection() as connection:
            records = find_records(connection.release, Digest.parse(report.index))
    # The newest first; each tells of its own tags, and of the source that upstream's key vouches for.
    assert [record.tags for record in records] == [after.tags, ("1.40.0-rc",)]
    assert {record.source_sha256 for record in records} == {"c" * 64}
