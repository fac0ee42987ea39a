"""The matrix as data: which cells there are, and everything that goes into each one's key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core import kconfig
from minios_steps.core.cellkey import CellInputs
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError
from minios_steps.core.skeleton import skeleton_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.version import Version


@dataclass(frozen=True, order=True)
class Cell:
    """One image to be made: a version, a variant and an arch name."""

    version: Version
    variant: Variant
    arch: str

    def __str__(self) -> str:
        return f"{self.arch} {self.version} {self.variant}"


@dataclass(frozen=True)
class Plan:
    """The cells of one run, grouped as releases, and the arches that were asked for."""

    cells: tuple[Cell, ...]
    arches: tuple[str, ...]

    @property
    def releases(self) -> tuple[tuple[Version, Variant], ...]:
        """Each version and variant of the run, once, in order."""
        return tuple(dict.fromkeys((cell.version, cell.variant) for cell in self.cells))


def plan_matrix(
    project: Project,
    *,
    versions: Sequence[str] = (),
    variants: Sequence[str] = (),
    arches: Sequence[str] = (),
) -> Plan:
    """Work out the cells of a run; empty sequences take what the configuration says.

    Candidate arches are built only when they are named.

    Raises:
        ConfigError: an unknown arch, variant or version, naming what there is; a retired arch;
            or a matrix without a cell.
    """
    chosen = tuple(arches) or tuple(
        name for name, role in project.minios.arches.items() if role in ("required", "optional")
    )
    for name in chosen:
        project.arch(name)
        if project.role(name) == "retired":
            raise ConfigError(f"arch {name} is retired", hint=f"minios arch promote {name} builds it again")
    for name in variants:
        if name not in ("static", "dynamic"):
            raise ConfigError(f"unknown variant {name!r}: there are static and dynamic")
    wanted = sorted({project.version(text) for text in versions or project.minios.versions}, reverse=True)
    kinds = tuple(variants) or project.minios.variants
    cells = tuple(
        Cell(version, variant, name)
        for version in wanted
        for variant in ("static", "dynamic")
        if variant in kinds
        for name in dict.fromkeys(chosen)
        if variant in project.arches[name].variants
    )
    if not cells:
        raise ConfigError(f"no cell to build: {', '.join(chosen)} has no {' or '.join(kinds)} variant")
    return Plan(cells, tuple(dict.fromkeys(chosen)))


def cell_inputs(project: Project, cell: Cell, *, identity: str, prefix: str, backend: str = "") -> CellInputs:
    """Everything that can change a cell's bytes.

    Args:
        project: the configuration.
        cell: the cell.
        identity: `Toolchain.identity` of the worker that would build it.
        prefix: the compiler's prefix on that worker.
        backend: what makes the image; empty for what the configuration says.

    Raises:
        ConfigError: see `Project.backend`.
    """
    arch = project.arches[cell.arch]
    release = project.release(cell.version)
    asked = kconfig.merge(project.fragments(arch, cell.variant, cell.version))
    return CellInputs(
        version=str(cell.version),
        source_sha256=release.sha256,
        patches=tuple(Digest.of_file(path).hex for path in project.patches(cell.version)),
        kconfig=kconfig.canonical(asked),
        kconfig_base=project.minios.kconfig_base,
        variant=cell.variant,
        arch=arch.name,
        platform=str(arch.platform.platform),
        make_arch=arch.busybox_arch,
        # Where a compiler is does not matter: another folder gives the same bytes.
        prefix=prefix.rpartition("/")[2],
        toolchain=identity,
        skeleton=skeleton_digest(project.skeleton).hex,
        epoch=release.epoch,
        command=project.minios.image.command,
        labels=tuple(sorted(image_labels(project, cell).items())),
        backend=project.backend(cell.arch, backend),
    )


def image_labels(project: Project, cell: Cell) -> Mapping[str, str]:
    """The image's labels (image-spec, annotations.md); nothing in them differs between runs."""
    image = project.minios.image
    told = {
        "title": image.title,
        "description": image.description,
        "version": str(cell.version),
        "licenses": image.licenses,
        "url": image.url,
        "vendor": image.vendor,
    }
    return {f"org.opencontainers.image.{key}": value for key, value in told.items() if value}
