"""Staging and releases against a real registry: its own log, other people's tools, a full disk, a restart."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from registryhouse import REPOSITORY, TAGS, RegistryHouse
from registryrig import RealRegistry, running_registry
from releasebed import cell, put_candidate

from minios_steps.core.cell_result import CellResult
from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry
from minios_steps.core.oci import media
from minios_steps.core.records import find_records
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITES = ("PUT", "POST", "PATCH", "DELETE")


@pytest.fixture
def registry(tmp_path: Path, need: Callable[..., None]) -> Iterator[RealRegistry]:
    need("docker-registry", "skopeo")
    with running_registry(tmp_path / "registry") as found:
        yield found


def skopeo(*words: str) -> str:
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def newer(house: RegistryHouse, *, entries: tuple[Entry, ...] = ()) -> CellResult:
    record = put_candidate(house.store, house.project, cell(), identity="gcc version 13\n", entries=entries)
    return CellResult.built(cell(), house.stage(record).record.as_json())


def blobs_sent(asked: list[tuple[str, str, int]], repository: str) -> int:
    return sum(
        method == "PUT" and path.startswith(f"/v2/{repository}/blobs/uploads/") for method, path, _ in asked
    )


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_release(form: str, registry: RealRegistry, tmp_path: Path) -> None:
    house = RegistryHouse(tmp_path / "house", registry.host, more=f"  format: {form}\n")
    done = house.publish(house.good())
    assert blobs_sent(registry.asked("PUT"), REPOSITORY) == 2, "all but the record is mounted"
    moved = [path.rpartition("/")[2] for _, path, _ in registry.asked("PUT") if "/manifests/" in path]
    assert [tag for tag in moved if tag in TAGS] == list(TAGS)
    assert {house.check(tag) for tag in TAGS} == {done.report.index}
    with house.connection() as connection:
        assert find_records(connection.release, Digest.parse(done.report.index)) == (done.record,)

    place = f"docker://{registry.host}/{REPOSITORY}:latest"
    raw = skopeo("inspect", "--raw", "--tls-verify=false", place)
    assert str(Digest.of(raw.encode())) == done.report.index
    told = json.loads(raw)
    assert told["mediaType"] == (media.INDEX if form == "oci" else media.DOCKER_INDEX)
    skopeo("copy", "--all", "--src-tls-verify=false", place, f"oci:{tmp_path}/copy:all")
    for entry in told["manifests"]:
        platform = entry["platform"]
        only = ["--override-os=linux", f"--override-arch={platform['architecture']}"]
        skopeo(
            "copy", *only, "--src-tls-verify=false", place, f"oci:{tmp_path}/one:{platform['architecture']}"
        )

    before = len(registry.asked(*WRITES))
    again = house.publish(house.good())
    assert again.report.outcome == "unchanged"
    assert registry.asked(*WRITES)[before:] == [], "not a byte moves"


def test_restarted_in_between(tmp_path: Path, need: Callable[..., None]) -> None:
    need("docker-registry")
    with running_registry(tmp_path / "registry") as registry:
        house = RegistryHouse(tmp_path / "house", registry.host)
        first = house.publish(house.good()).report.index
        cells = [newer(house), *house.good("aarch64", "sw64")]
    with pytest.raises(RegistryError, match=f"{registry.host}/{REPOSITORY}.*: connection refused"):
        house.publish(cells)
    port = int(registry.host.rpartition(":")[2])
    with running_registry(tmp_path / "registry", port=port):
        assert house.check("latest") == first
        done = house.publish(cells)
        assert {house.check(tag) for tag in TAGS} == {done.report.index}


@pytest.fixture
def small_disk(tmp_path: Path, need: Callable[..., None]) -> Iterator[Path]:
    """Four megabytes."""
    need("docker-registry", "mount", "umount", root=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], check=True, timeout=60)
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=60)


def test_the_registrys_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    with running_registry(small_disk) as registry:
        house = RegistryHouse(tmp_path / "house", registry.host)
        first = house.publish(house.good()).report.index
        # There is room for the staged candidate, and not for the release.
        cells = [newer(house), *house.good("aarch64", "sw64")]
        filler = small_disk / "filler"
        # Unbuffered: what a buffer still holds when the disk is full would be an error once more.
        with filler.open("wb", buffering=0) as stream, suppress(OSError):
            while True:
                stream.write(b"x" * 4096)
        with pytest.raises(RegistryError):
            house.publish(cells)
        filler.unlink()
        assert {house.check(tag) for tag in TAGS} == {first}
        done = house.publish(cells)
        assert {house.check(tag) for tag in TAGS} == {done.report.index}
        # What does not compress, and does not fit; the registry keeps what it has of it.
        large = Entry("large", "file", 0o644, data=os.urandom(5 << 20))
        record = put_candidate(
            house.store, house.project, cell(), identity="gcc version 14\n", entries=[large]
        )
        with pytest.raises(RegistryError, match=f"{registry.host}/{REPOSITORY}/x86_64: blob sha256:"):
            house.stage(record)
        assert {house.check(tag) for tag in TAGS} == {done.report.index}
