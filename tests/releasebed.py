"""A small project with four arches, and candidates of it, for the tests of what happens on the master."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configbed import write_config
from tinyelf import make_elf
from tinyimage import make_image

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_record import CellRecord
from minios_steps.core.cell_result import CellResult
from minios_steps.core.config.load import load_project
from minios_steps.core.oci.index import Index, parse_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.plan import Cell, cell_inputs
from minios_steps.core.release import Releaser, ReleaseReport
from minios_steps.core.release_layout import LayoutTarget
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.entry import Entry

NEWEST = Version.parse("1.38.0")
OLDER = Version.parse("1.35.0")
ALL = ("x86_64", "aarch64", "sw64")
"""What a full run is asked for."""
IDENTITY = "gcc version 12.2.0 (Debian 12.2.0-14)\n"
BUILT = "2026-01-02T03:04:05+00:00"
MACHINES = {"x86_64": 62, "aarch64": 183, "sw64": 0x9916, "riscv64": 243}

MINIOS = """\
image:
  name: tiny
  title: tiny
  description: A tiny image
variants: [static]
arches:
  x86_64: required
  aarch64: required
  sw64: optional
tags:
  static: ["{version}", "{minor}", latest]
  dynamic: ["{version}-dynamic", dynamic]
policy:
  claim_timeout: 60
  cell_timeout: 600
"""

_ARCH = """\
name: {name}
platform:
  architecture: {platform}
elf:
  class: 64
  data: little
  machines: [{machine}]
uname: [{name}]
gnu_prefix: {name}-linux-gnu-
attach: start a worker on a {name} machine
"""

FILES = {
    "minios.yaml": MINIOS,
    "rootfs/skeleton.yaml": 'directories:\n  - {path: bin, mode: "0755", owner: 0:0}\n',
    **{
        f"arches/{name}.yaml": _ARCH.format(name=name, platform=platform, machine=MACHINES[name])
        for name, platform in (
            ("x86_64", "amd64"),
            ("aarch64", "arm64"),
            ("sw64", "sw64"),
            ("riscv64", "riscv64"),
        )
    },
}
"""x86_64 and aarch64 are required, sw64 is optional, riscv64 has no role: it is a candidate."""


def make_project(folder: Path, changes: Mapping[str, str | None] | None = None) -> Project:
    """The project in a new folder, with some files replaced."""
    return load_project(write_config(folder, {**FILES, **(changes or {})}))


def cell(arch: str = "x86_64", version: Version = NEWEST, variant: Variant = "static") -> Cell:
    return Cell(version, variant, arch)


def put_candidate(
    store: CandidateStore,
    project: Project,
    made: Cell,
    *,
    program: bytes | None = None,
    entries: Sequence[Entry] = (),
    identity: str = IDENTITY,
    variant: str | None = None,
    backend: str = "",
) -> CellRecord:
    """Store a real image for a cell under its real key; `program` and `variant` are what it has inside."""
    inputs = cell_inputs(project, made, identity=identity, prefix="", backend=backend)
    with tempfile.TemporaryDirectory() as folder:
        image = make_image(
            Path(folder),
            platform=inputs.platform,
            program=make_elf(MACHINES[made.arch], kind=2) if program is None else program,
            entries=entries,
            key=str(inputs.key),
            variant=variant or made.variant,
            version=str(made.version),
        )
        record = CellRecord(
            key=inputs.key,
            arch=made.arch,
            version=str(made.version),
            variant=made.variant,
            descriptor=image.descriptor,
            inputs=inputs.as_json(),
            smoke=(),
            size=image.layer.size + len(image.config) + len(image.manifest),
            built=BUILT,
        )
        store.put(record, layer=image.layer, config=image.config, manifest=image.manifest)
    return record


def put_cell(store: CandidateStore, project: Project, made: Cell, *, reused: bool = False) -> CellResult:
    """The result of a cell that was built, with its image in the store."""
    return CellResult.built(made, put_candidate(store, project, made).as_json(), reused=reused)


class House:
    """A project, its store of candidates and the layout that is released into."""

    def __init__(self, folder: Path, changes: Mapping[str, str | None] | None = None) -> None:
        self.project = make_project(folder / "config", changes)
        self.store = CandidateStore(folder / "store")
        self.layout = Layout(folder / "out" / "tiny")
        (folder / "out").mkdir()

    def good(self, *arches: str, version: Version = NEWEST) -> list[CellResult]:
        """Cells that were built, with real images."""
        return [put_cell(self.store, self.project, cell(arch, version)) for arch in arches]

    def publish(
        self,
        results: list[CellResult],
        asked: tuple[str, ...] = ALL,
        *,
        version: Version = NEWEST,
        variant: Variant = "static",
    ) -> tuple[ReleaseReport, dict[str, CellResult]]:
        target = LayoutTarget(self.layout, self.store)
        done = Releaser(self.project, self.store, target).publish(version, variant, results, asked)
        return done.report, {result.arch: result for result in done.results}

    def index(self, tag: str) -> Index:
        return parse_index(self.layout.read(self.layout.tags()[tag].digest))

    def platforms(self, tag: str) -> list[str]:
        return [str(entry.platform) for entry in self.index(tag).entries]

    @property
    def tags(self) -> list[str]:
        return sorted(self.layout.tags())

    def snapshot(self) -> dict[str, bytes]:
        """Every byte of what is published."""
        root = self.layout.root
        return {path.name: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def layer_of(self, result: CellResult) -> Path:
        assert result.descriptor
        return self.layout_blob(self.store.blobs(result.descriptor)[2])

    def layout_blob(self, digest: Any) -> Path:
        return self.store.layout.blob_path(digest)


def failed(arch: str, version: Version = NEWEST) -> CellResult:
    return CellResult.failed(cell(arch, version), "compile failed")
