"""Which of the cells that are about to be rebuilt is compared with a clean build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minios_steps.core.plan import cell_inputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minios_steps.core.config.project import Project
    from minios_steps.core.nightly.memory import Memory
    from minios_steps.core.plan import Cell


def spot_checks(project: Project, cells: Iterable[Cell], memory: Memory) -> tuple[Cell, ...]:
    """The cells whose inputs are others than when they were good last; the longest unchecked first.

    Args:
        project: the configuration.
        cells: of the run.
        memory: of the nights before. A compiler that changed since is not known yet, but what was
            kept of another compiler is not used either.

    Raises:
        ConfigError: see `cell_inputs`.
    """
    changed = [cell for cell in cells if _is_changed(project, cell, memory)]
    return tuple(sorted(changed, key=lambda cell: (memory.checked.get(str(cell), ""), str(cell))))


def _is_changed(project: Project, cell: Cell, memory: Memory) -> bool:
    known = memory.known.get(str(cell))
    if known is None:
        return False
    inputs = cell_inputs(project, cell, identity=known.toolchain, prefix=known.prefix)
    return str(inputs.key) != known.key
