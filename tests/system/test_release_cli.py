"""Releases between real registries and layouts, and what other tools read of the copies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from registryrig import running_registry
from sealedbed import put_release, seal, side_tag

from minios_steps.core.entry import Entry
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registryrig import RealRegistry

    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.index import Index

CHANGES = ("POST", "PATCH", "PUT", "DELETE")
LARGE = 48 << 20


class House:
    """A layout with a sealed release, and the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Nobody is logged in; buildah wants to read that.
        (folder / "config.json").write_text("{}", "utf-8")
        self.layout = Layout(folder / "out")
        self.index = put_release(LayoutStore(self.layout), folder)
        self.about = seal(LayoutStore(self.layout), self.index)

    @property
    def digest(self) -> str:
        return str(self.index.descriptor.digest)

    def release(self, *words: str) -> Any:
        """What `minios release … --json` prints."""
        base = [sys.executable, "-c", "from minios_master.cli.main import run; run()", "release"]
        return json.loads(self.run(*base, *words, "--json"))

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "DOCKER_CONFIG": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def other(need: Callable[..., None], tmp_path: Path) -> Iterator[RealRegistry]:
    """Another registry than `registry`."""
    need("docker-registry")
    with running_registry(tmp_path / "other") as made:
        yield made


def whole(layout: Layout, index: Index, about: list[Digest]) -> set[Digest]:
    """Every digest of a release: what is below it and what is about it."""
    store = LayoutStore(layout)
    roots = [index.descriptor, *filter(None, map(store.head, about))]
    return {digest for root in roots for digest in layout.closure(root)}


def test_a_release_goes_round(
    house: House, registry: RealRegistry, other: RealRegistry, need: Callable[..., None]
) -> None:
    need("skopeo")
    first = house.release("copy", "out:1.38.0", f"docker://{registry.host}/team/app")
    assert (first["digest"], first["images"]) == (house.digest, 2)
    assert first["referrers"] == len(house.about) + 1, "with the record"

    house.release("copy", f"docker://{registry.host}/team/app:1.38.0", f"docker://{other.host}/copy:stable")
    house.release("copy", f"docker://{other.host}/copy:stable", "oci:back:latest")
    back = Layout(house.folder / "back")
    assert back.tags()["latest"].digest == house.index.descriptor.digest
    expected = whole(house.layout, house.index, house.about)
    assert whole(back, house.index, house.about) == expected
    assert side_tag(house.index.descriptor.digest) in back.all_tags()
    [mine] = house.release("list", "back")["releases"]
    assert (mine["digest"], mine["by"], mine["tags"]) == (house.digest, "somebody", ["latest"])
    assert house.release("list", f"docker://{other.host}/copy")["releases"] == [{**mine, "tags": ["stable"]}]
    shown = house.release("show", f"docker://{other.host}/copy:stable")
    assert shown["records"] == house.release("show", "out")["records"]

    # Nothing that skopeo reads of the copy is other than what it reads of the original.
    source = f"docker://{other.host}/copy:stable"
    raw = house.run("skopeo", "inspect", "--tls-verify=false", "--raw", source)
    assert raw.encode() == house.index.raw
    house.run("skopeo", "copy", "--all", "--src-tls-verify=false", source, "oci:skopeo:x")
    assert Layout(house.folder / "skopeo").tags()["x"].digest == house.index.descriptor.digest


def test_again_moves_no_byte(house: House, registry: RealRegistry) -> None:
    target = f"docker://{registry.host}/team/app"
    house.release("copy", "out:1.38.0", target)
    before = registry.asked(*CHANGES)
    again = house.release("copy", "out:1.38.0", target)
    assert (again["sent"], again["manifests"], again["moved"]) == (0, 0, False)
    assert registry.asked(*CHANGES) == before


def test_within_a_registry_blobs_are_mounted(house: House, registry: RealRegistry) -> None:
    house.release("copy", "out:1.38.0", f"docker://{registry.host}/team/app")
    before = len(registry.asked("PUT", "PATCH"))
    told = house.release("copy", f"docker://{registry.host}/team/app:1.38.0", f"docker://{registry.host}/b")
    assert (told["sent"], told["there"]) == (0, 0)
    assert told["mounted"] > 0
    paths = [path for _, path, _ in registry.asked("PUT", "PATCH")[before:]]
    assert all("/manifests/" in path for path in paths)
    assert registry.asked("DELETE") == []


def test_tags_move_and_move_back(house: House, registry: RealRegistry) -> None:
    repo = f"docker://{registry.host}/team/app"
    house.release("copy", "out:1.38.0", repo)
    blobs = {path for _, path, _ in registry.asked("PUT") if "/blobs/" in path}
    house.release("retag", f"{repo}:1.38.0", "stable", "latest")
    newer = put_release(
        LayoutStore(house.layout),
        house.folder,
        tags=("stable",),
        note="newer",
        previous={"stable": house.digest},
    )
    house.release("copy", "out:stable", repo)
    assert house.release("show", f"{repo}:stable")["digest"] == str(newer.descriptor.digest)
    told = house.release("rollback", f"{repo}:stable")
    assert told["moves"] == [{"tag": "stable", "from": str(newer.descriptor.digest), "to": house.digest}]
    shown = house.release("show", f"{repo}:stable")
    assert [record["action"] for record in shown["records"]] == ["rollback", "retag", "release"]
    assert shown["tags"] == ["1.38.0", "latest", "stable"]
    # Both releases have the same images: only records were sent.
    later = [path for _, path, _ in registry.asked("PUT") if "/blobs/" in path and path not in blobs]
    assert len(later) == 3


def test_memory_does_not_grow_with_the_layers(
    house: House, registry: RealRegistry, other: RealRegistry
) -> None:
    data = os.urandom(LARGE)
    (house.folder / "big").mkdir()
    index = put_release(
        LayoutStore(house.layout),
        house.folder / "big",
        tags=("big",),
        platforms=("linux/amd64",),
        entries=[Entry("big", "file", 0o644, data=data)],
    )
    del data
    script = (
        "import resource, sys; from minios_master.cli.main import run\n"
        "try: run(sys.argv[1:])\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for ref, target in (("1.38.0", "small"), ("big", "big")):
        house.release("copy", f"out:{ref}", f"docker://{registry.host}/team/app:{target}")
        said = house.run(
            *(sys.executable, "-c", script, "release", "copy"),
            *(f"docker://{registry.host}/team/app:{target}", f"docker://{other.host}/copy:{target}"),
        )
        peaks.append(int(said.splitlines()[-1]) << 10)
    assert peaks[1] - peaks[0] < LARGE // 4, peaks
    told = house.release("list", f"docker://{other.host}/copy")
    assert str(index.descriptor.digest) in {one["digest"] for one in told["releases"]}
