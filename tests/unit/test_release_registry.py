"""A release in a registry: everything by digest first, the tags last, nothing twice, nothing by accident."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from registrybed import serving
from registryfaults import status
from registryhouse import REPOSITORY, TAGS, RegistryHouse, moves, newer
from releasebed import ALL, House, cell, failed, put_candidate
from tinyelf import make_elf

from minios_steps.core.cell_result import CellResult
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, PolicyError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.artifact import Artifact, Part, build_artifact
from minios_steps.core.records import find_records
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrybed import Bed

    from minios_steps.core.release_target import ReleaseContext

WRITES = ("PUT", "POST", "PATCH", "DELETE")
GONE = CellResult.no_worker(cell("sw64"), "attach one")


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as found:
        yield found


@pytest.fixture
def house(tmp_path: Path, bed: Bed) -> RegistryHouse:
    return RegistryHouse(tmp_path, bed.host)


class TestRelease:
    def test_released(self, house: RegistryHouse, bed: Bed) -> None:
        done = house.publish(house.good())
        assert (done.report.outcome, done.report.tags) == ("released", TAGS)
        assert done.report.place == f"{bed.host}/{REPOSITORY}"
        assert house.tags() == dict.fromkeys(TAGS, done.report.index)
        assert {result.outcome for result in done.results} == {"published"}
        assert moves(bed) == ["_minios-claim", *TAGS, "_minios-claim"], "the broader a tag, the later"
        assert house.check("latest") == done.report.index

    def test_no_layer_is_sent_twice(self, house: RegistryHouse, bed: Bed) -> None:
        cells = house.good()
        house.publish(cells)
        sent = [one for one in bed.methods("PUT") if f"/{REPOSITORY}/blobs/" in one]
        assert len(sent) == 2, "an empty config and the release's record; all else is mounted"

    def test_what_the_index_says(self, house: RegistryHouse) -> None:
        cells = house.good()
        house.publish(cells)
        index = house.index()
        assert index.annotations[keys.SOURCE_SHA256] == "b" * 64
        told = {entry.annotations[keys.CELL_KEY] for entry in index.entries}
        assert told == {result.key for result in cells}

    def test_the_record(self, house: RegistryHouse) -> None:
        first = house.publish(house.good())
        done = house.publish([newer(house), *house.good("aarch64", "sw64")])
        assert done.record
        assert done.record.previous == dict.fromkeys(TAGS, first.report.index)
        assert [(one.arch, one.outcome) for one in done.record.cells] == [
            ("aarch64", "published"),
            ("sw64", "published"),
            ("x86_64", "published"),
        ]
        assert done.record.cells[2].inputs["toolchain"] == "gcc version 13.1.0\n"
        with house.connection() as connection:
            assert find_records(connection.release, Digest.parse(done.report.index)) == (done.record,)

    def test_again(self, house: RegistryHouse, bed: Bed) -> None:
        first = house.publish(house.good())
        since = len(bed.seen)
        again = house.publish(house.good())
        assert (again.report.outcome, again.report.index) == ("unchanged", first.report.index)
        assert (again.record, again.report.record) == (None, "")
        assert not [one for one in bed.seen[since:] if one.method in WRITES]

    def test_what_is_missing_below_an_unchanged_index_comes_back(
        self, house: RegistryHouse, bed: Bed
    ) -> None:
        first = house.publish(house.good())
        del bed.repo(REPOSITORY).manifests[str(house.index().entries[0].digest)]
        assert house.publish(house.good()).report.outcome == "unchanged"
        assert house.check("latest") == first.report.index

    def test_the_layout_has_the_same_index(self, house: RegistryHouse, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = House(tmp_path / "other")
        report, _ = other.publish(other.good(*ALL))
        assert house.publish(house.good()).report.index == report.index

    def test_docker(self, tmp_path: Path, bed: Bed) -> None:
        house = RegistryHouse(tmp_path, bed.host, more="  format: docker\n", carry_over=True)
        done = house.publish(house.good())
        raw, kind = bed.repo(REPOSITORY).manifests["latest"]
        told = json.loads(raw)
        assert (kind, told["mediaType"]) == (media.DOCKER_INDEX, media.DOCKER_INDEX)
        assert "annotations" not in told
        assert {entry["mediaType"] for entry in told["manifests"]} == {media.DOCKER_MANIFEST}
        assert not any("annotations" in entry for entry in told["manifests"])
        assert house.check("latest") == done.report.index
        assert house.publish(house.good()).report.outcome == "unchanged"
        kept = house.publish([*house.good("x86_64", "aarch64"), GONE])
        assert kept.report.carried == ("sw64",), "whose index it is, the images say"


class TestBadCandidates:
    def refused(self, house: RegistryHouse, cells: list[CellResult], why: str) -> None:
        before = house.tags()
        done = house.publish(cells)
        assert done.report.outcome == "blocked"
        assert done.results[0].outcome == "refused"
        assert why in done.results[0].reason
        assert house.tags() == before

    def test_swapped_in_staging(self, house: RegistryHouse, bed: Bed) -> None:
        cells = house.good()
        staging = bed.repo(f"{REPOSITORY}/x86_64")
        blobs = sorted(staging.blobs, key=lambda digest: len(staging.blobs[digest]))
        staging.blobs[blobs[0]], staging.blobs[blobs[-1]] = staging.blobs[blobs[-1]], staging.blobs[blobs[0]]
        self.refused(house, cells, "")

    def test_manifest_swapped_in_staging(self, house: RegistryHouse, bed: Bed) -> None:
        house.publish(house.good())
        cells = [newer(house), *house.good("aarch64", "sw64")]
        staging = bed.repo(f"{REPOSITORY}/x86_64")
        old = next(raw for raw in staging.manifests.values() if str(Digest.of(raw[0])) != cells[0].digest)
        staging.manifests[cells[0].digest] = old
        self.refused(house, cells, "digest")

    def test_gone_from_staging(self, house: RegistryHouse, bed: Bed) -> None:
        cells = house.good()
        bed.repo(f"{REPOSITORY}/x86_64").manifests.clear()
        self.refused(house, cells, "404")

    def test_of_another_arch(self, house: RegistryHouse) -> None:
        record = put_candidate(house.store, house.project, cell(), program=make_elf(183, kind=2))
        cells = [CellResult.built(cell(), house.stage(record).record.as_json())]
        self.refused(house, [*cells, *house.good("aarch64", "sw64")], "machine")

    def test_of_another_cell(self, house: RegistryHouse) -> None:
        cells = house.good()
        cells[0] = dataclasses.replace(cells[0], key="sha256:" + "0" * 64)
        self.refused(house, cells, "annotation org.minios.cell-key")

    def test_in_the_other_form(self, tmp_path: Path, bed: Bed, house: RegistryHouse) -> None:
        cells = house.good()
        other = RegistryHouse(tmp_path / "docker", bed.host, more="  format: docker\n")
        other.store = house.store
        self.refused(other, cells, "does not go into")


class TestPolicy:
    def test_required_arch_missing(self, house: RegistryHouse) -> None:
        first = house.publish(house.good())
        done = house.publish([newer(house), failed("aarch64"), *house.good("sw64")])
        assert done.report.outcome == "blocked"
        assert house.tags() == dict.fromkeys(TAGS, first.report.index)
        assert house.check("latest") == first.report.index

    def test_optional_arch_left_out(self, house: RegistryHouse) -> None:
        house.publish(house.good())
        done = house.publish([*house.good("x86_64", "aarch64"), GONE])
        assert (done.report.left_out, done.report.carried) == ({"sw64": "no-worker"}, ())
        assert len(house.index().entries) == 2

    def test_optional_arch_carried_over(self, tmp_path: Path, bed: Bed) -> None:
        house = RegistryHouse(tmp_path, bed.host, carry_over=True)
        house.publish(house.good())
        kept = house.index().entries[2]
        done = house.publish([newer(house), *house.good("aarch64"), GONE])
        assert (done.report.left_out, done.report.carried) == ({}, ("sw64",))
        assert house.index().entries[2] == kept
        assert done.record
        (told,) = [one for one in done.record.cells if one.arch == "sw64"]
        assert (told.outcome, told.carried, told.digest) == ("no-worker", True, str(kept.digest))
        assert told.key == kept.annotations[keys.CELL_KEY]

    def test_what_is_carried_over_is_gone(self, tmp_path: Path, bed: Bed) -> None:
        house = RegistryHouse(tmp_path, bed.host, carry_over=True)
        first = house.publish(house.good())
        del bed.repo(REPOSITORY).manifests[str(house.index().entries[2].digest)]
        with pytest.raises(ImageError, match=r"sw64's image .* is gone"):
            house.publish([newer(house), *house.good("aarch64"), GONE])
        assert house.tags() == dict.fromkeys(TAGS, first.report.index)

    def test_index_with_a_platform_twice(self, tmp_path: Path, bed: Bed) -> None:
        house = RegistryHouse(tmp_path, bed.host, carry_over=True)
        house.publish(house.good())
        told = json.loads(bed.repo(REPOSITORY).manifests["latest"][0])
        twice = [entry for entry in told["manifests"] if entry["platform"]["architecture"] == "sw64"]
        raw = json.dumps({**told, "manifests": [*told["manifests"], *twice]}).encode()
        with house.connection() as connection:
            connection.release.set_tags(TAGS, raw, media.INDEX)
        done = house.publish([newer(house), *house.good("aarch64"), GONE])
        assert (done.report.carried, done.report.left_out) == ((), {"sw64": "no-worker"})
        house.check("latest")

    def test_narrowed_run(self, house: RegistryHouse) -> None:
        done = house.publish(house.good("x86_64"), ("x86_64",))
        assert (done.report.outcome, done.report.tags) == ("partial", ("1.38.0-partial",))
        assert list(house.tags()) == ["1.38.0-partial"]
        assert done.record
        assert done.record.action == "partial"

    def test_immutable(self, tmp_path: Path, bed: Bed) -> None:
        house = RegistryHouse(tmp_path, bed.host, more='  immutable: ["{version}"]\n')
        first = house.publish(house.good())
        assert house.publish(house.good()).report.outcome == "unchanged"
        cells = [newer(house), *house.good("aarch64", "sw64")]
        since = len(bed.seen)
        with pytest.raises(PolicyError, match=r"tag '1\.38\.0' must not move: it is "):
            house.publish(cells)
        assert not [one for one in bed.seen[since:] if one.method in WRITES]
        assert house.tags() == dict.fromkeys(TAGS, first.report.index)


class TestAttachments:
    def test_before_the_tags(self, house: RegistryHouse, bed: Bed) -> None:
        seen: list[ReleaseContext] = []

        def attach(context: ReleaseContext) -> list[Artifact]:
            seen.append(context)
            subjects = [context.index, *(image.descriptor for image in context.images)]
            return [build_artifact(one, "application/x.seal", [Part("text/plain", b"s")]) for one in subjects]

        cells = house.good()
        house.publish(cells, attachments=attach)
        (context,) = seen
        assert [image.arch for image in context.images] == ["aarch64", "sw64", "x86_64"]
        assert all(image.record and image.record.inputs for image in context.images)
        puts = [path for path in bed.methods("PUT") if f"/{REPOSITORY}/manifests/" in path]
        sealed = max(number for number, path in enumerate(puts) if "sha256-" in path)
        assert sealed < next(number for number, path in enumerate(puts) if path.endswith("/1.38.0"))
        with house.connection() as connection:
            for one in (context.index, *(image.descriptor for image in context.images)):
                found = connection.release.referrers(one.digest)
                assert "application/x.seal" in {item.artifact_type for item in found}
        since = len(bed.seen)
        house.publish(cells, attachments=attach)
        assert not [one for one in bed.seen[since:] if one.method in WRITES]

    def test_that_fail_leave_the_tags(self, house: RegistryHouse, bed: Bed) -> None:
        first = house.publish(house.good())
        cells = [newer(house), *house.good("aarch64", "sw64")]
        bed.fault("PUT", f"/{REPOSITORY}/manifests/sha256-", status(403, "DENIED"))
        with pytest.raises(RegistryError, match="DENIED"):
            house.publish(cells)
        assert house.tags() == dict.fromkeys(TAGS, first.report.index)
