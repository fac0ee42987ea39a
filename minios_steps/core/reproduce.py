"""What a release's record says that its images were made from, and what another build of them shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from minios_steps.core.cellkey import CellInputs
from minios_steps.core.diff.images import Side, compare_images
from minios_steps.core.errors import ConfigError
from minios_steps.core.oci import media
from minios_steps.core.oci.docker_form import docker_form
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.model import RawManifest
from minios_steps.core.oci.verify import CONFIG_LIMIT
from minios_steps.core.plan import Cell, cell_inputs
from minios_steps.core.recorded_config import missing_inputs
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.config.project import Project
    from minios_steps.core.diff.model import Difference
    from minios_steps.core.records import CellOutcome
    from minios_steps.core.toolchain import Toolchain

Outcome = Literal["identical", "different", "same-files", "unknown"]
"""What another build shows. `same-files`: the image is a Docker engine's, which has the time of its
build in it, and all files are the same; `unknown`: there was no build from the same inputs."""


@dataclass(frozen=True)
class Verdict:
    """What came of one arch.

    Args:
        arch: the arch's name.
        outcome: `identical` bit for bit, `different`, `same-files` or `unknown`.
        reason: why it is `unknown`; empty otherwise.
        recorded: the digest of the released image, `sha256:HEX`; empty when there is none.
        rebuilt: of the image that was built now; empty when none was.
        changed: how the configuration of now would build it otherwise, a line each.
        differences: between the two images.
    """

    arch: str
    outcome: Outcome
    reason: str = ""
    recorded: str = ""
    rebuilt: str = ""
    changed: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        told = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**told, "changed": list(self.changed), "differences": [d.as_json() for d in self.differences]}


def recorded_inputs(cell: CellOutcome) -> CellInputs:
    """What went into a released image.

    Raises:
        ConfigError: its record does not say, or says what this program does not understand.
    """
    if cell.carried:
        raise ConfigError("it was kept from an earlier release; reproduce that one")
    if not cell.inputs:
        raise ConfigError("its record does not say what went into it")
    inputs = CellInputs.from_json(cell.inputs)
    if cell.key and str(inputs.key) != cell.key:
        raise ConfigError(f"its record's inputs have the key {inputs.key.short}, not {cell.key:.19}")
    return inputs


def obstacles(project: Project, inputs: CellInputs, toolchain: Toolchain) -> list[str]:
    """Why a cell cannot be built again from its recorded inputs: what is not here, or another one.

    Args:
        project: the configuration of now.
        inputs: as recorded.
        toolchain: the compiler of this machine.

    Raises:
        ConfigError: the configuration's skeleton cannot be read.
    """
    here = dataclasses.replace(
        inputs, toolchain=toolchain.identity, prefix=toolchain.prefix.rpartition("/")[2]
    )
    return here.explain(inputs) + missing_inputs(project, inputs)


def changes(project: Project, inputs: CellInputs, toolchain: Toolchain) -> tuple[str, ...]:
    """How the configuration of now differs from what was recorded, in words; empty when it does not."""
    cell = Cell(
        Version.parse(inputs.version), "dynamic" if inputs.variant == "dynamic" else "static", inputs.arch
    )
    try:
        now = cell_inputs(
            project, cell, identity=toolchain.identity, prefix=toolchain.prefix, backend=inputs.backend
        )
    except ConfigError as error:
        return (error.what,)
    return tuple(now.explain(inputs))


def as_rebuilt(inputs: CellInputs) -> CellInputs:
    """The inputs of the cell that is built to be compared: always packed by the master itself."""
    return dataclasses.replace(inputs, backend="oci")


def judge(
    arch: str, released: Side, inputs: CellInputs, store: CandidateStore, record: CellRecord
) -> Verdict:
    """Compare a released image with the one that was built again.

    Args:
        arch: the arch's name.
        released: the released image.
        inputs: as recorded.
        store: has the image that was built.
        record: of that image.

    Raises:
        ImageError: something of either is missing, damaged or malformed.
    """
    rebuilt = Side(LayoutStore(store.layout), record.descriptor)
    if released.digest == _released_as(rebuilt, released):
        return Verdict(arch, "identical", recorded=released.digest, rebuilt=released.digest)
    told = compare_images(released, rebuilt, arch)
    outcome: Outcome = "different"
    if inputs.backend == "docker" and not [d for d in told.differences if not _is_an_engines(d)]:
        outcome = "same-files"
    return Verdict(
        arch, outcome, recorded=released.digest, rebuilt=rebuilt.digest, differences=told.differences
    )


def _released_as(rebuilt: Side, released: Side) -> str:
    """The digest that an image of ours has in the form of the release."""
    if released.descriptor.media_type != media.DOCKER_MANIFEST:
        return rebuilt.digest
    manifest = rebuilt.raw()
    config = RawManifest.parse(manifest, rebuilt.digest).config.digest
    made = docker_form(rebuilt.descriptor, manifest, rebuilt.store.read(config, CONFIG_LIMIT))
    return str(made.descriptor.digest)


def _is_an_engines(difference: Difference) -> bool:
    """Whether every image of a Docker engine has such a difference to one of ours: it is in no file."""
    return difference.where in ("manifest", "config", "layer") or difference.what == "mtime"
