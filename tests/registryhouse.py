"""Releases into a registry, made-up or real: a project, its store, and all of the way in this process."""

from __future__ import annotations

import dataclasses
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from registrybed import FAST
from releasebed import ALL, MINIOS, NEWEST, make_project, put_candidate, put_cell
from releasebed import cell as make_cell

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_result import CellResult
from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.digest import Digest
from minios_steps.core.oci.index import Index, parse_index
from minios_steps.core.oci.model import RawManifest
from minios_steps.core.oci.verify import verify_candidate
from minios_steps.core.registry.claim import Holder, Times
from minios_steps.core.registry.connect import Connection, connect
from minios_steps.core.release import Published, Releaser
from minios_steps.core.release_registry import RegistryTarget
from minios_steps.core.staging import Staged, stage_candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registrybed import Bed

    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.release_target import Attachments
    from minios_steps.core.version import Version

REPOSITORY = "team/minios"
TAGS = ("1.38.0", "1.38", "latest")
TIMES = Times(settle=0.01, within=20)
HOLDER = Holder("this-state-folder", "minios on this machine")


class RegistryHouse:
    """A project whose releases go to a registry at `host`.

    `more` are lines of `destination`; `carry_over` of the policy; `title` is in all that is made.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        *,
        more: str = "",
        carry_over: bool = False,
        title: str = "tiny",
        patience: Any = FAST,
    ) -> None:
        text = MINIOS + f"destination:\n  kind: registry\n  repository: {host}/{REPOSITORY}\n{more}"
        if carry_over:
            text = text.replace("policy:", "policy:\n  carry_over: true")
        self.project = make_project(
            folder / "config", {"minios.yaml": text.replace("title: tiny", f"title: {title}")}
        )
        self.store = CandidateStore(folder / "store")
        self.patience = patience
        self.said: list[str] = []

    @contextmanager
    def connection(self, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Connection]:
        destination = self.project.minios.destination
        assert isinstance(destination, RegistryDestination)
        with connect(
            destination,
            self.project.root,
            cancelled=cancelled,
            report=self.said.append,
            patience=self.patience,
        ) as connection:
            yield connection

    def stage(self, record: CellRecord) -> Staged:
        with self.connection() as connection:
            return stage_candidate(self.store, record, connection)

    def good(self, *arches: str, version: Version = NEWEST) -> list[CellResult]:
        """Cells that were built and staged."""
        found = []
        for arch in arches or ALL:
            result = put_cell(self.store, self.project, make_cell(arch, version))
            record = self.store.find(Digest.parse(result.key))
            assert record
            staged = self.stage(record)
            descriptor = staged.record.descriptor
            found.append(dataclasses.replace(result, descriptor=descriptor, digest=str(descriptor.digest)))
        return found

    def publish(
        self,
        results: list[CellResult],
        asked: tuple[str, ...] = ALL,
        *,
        version: Version = NEWEST,
        holder: Holder = HOLDER,
        times: Times = TIMES,
        attachments: Attachments | None = None,
    ) -> Published:
        with self.connection() as connection:
            target = RegistryTarget(connection, self.store, holder, times)
            releaser = Releaser(self.project, self.store, target, attachments=attachments)
            return releaser.publish(version, "static", results, asked)

    def tags(self) -> dict[str, str]:
        """What each tag that people see points at."""
        with self.connection() as connection:
            store = connection.release
            heads = {tag: store.head(tag) for tag in store.tags()}
            return {tag: str(found.digest) for tag, found in heads.items() if found}

    def index(self, tag: str = "latest") -> Index:
        with self.connection() as connection:
            return parse_index(connection.release.manifest(tag).raw)

    def check(self, tag: str) -> str:
        """Pull everything that a tag leads to, verified as a candidate is; the index's digest."""
        with self.connection() as connection:
            return check_release(connection.release, self, tag)


def newer(house: RegistryHouse, arch: str = "x86_64", compiler: str = "gcc version 13.1.0\n") -> CellResult:
    """A cell that was built by another compiler, and staged."""
    record = put_candidate(house.store, house.project, make_cell(arch), identity=compiler)
    return CellResult.built(make_cell(arch), house.stage(record).record.as_json())


def moves(bed: Bed, since: int = 0) -> list[str]:
    """The tags of the release repository that were set, in order."""
    start = f"/v2/{REPOSITORY}/manifests/"
    puts = [one.path for one in bed.seen[since:] if one.method == "PUT" and one.path.startswith(start)]
    return [path.removeprefix(start) for path in puts if ":" not in path and "sha256-" not in path]


def check_release(store: ImageStore, house: RegistryHouse, tag: str) -> str:
    """Pull a release from the registry alone: index, manifests, configs, layers, programs."""
    raw = store.manifest(tag)
    by_platform = {arch.platform.platform.normalised: arch for arch in house.project.arches.values()}
    for entry in parse_index(raw.raw).entries:
        assert entry.platform
        manifest = store.manifest(entry.digest).raw
        arch = by_platform[entry.platform.normalised]
        config = store.read(RawManifest.parse(manifest).config.digest, 1 << 20)
        notes = {
            **(json.loads(config)["config"].get("Labels") or {}),
            **RawManifest.parse(manifest).annotations,
        }
        verify_candidate(store, entry, arch, notes["org.minios.cell-key"], "static")
    return str(raw.digest)
