"""What the papers of one image are written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.cellkey import CellInputs
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.supply.contents import Contents


@dataclass(frozen=True)
class Invocation:
    """Who or what started a run, and when; nothing of it is needed.

    `id` names the run; `started` and `finished` are times as RFC 3339 writes them.
    """

    id: str = ""
    started: str = ""
    finished: str = ""


@dataclass(frozen=True)
class Material:
    """One image with all that went into it.

    `name` is the image's name, the same for all CPUs; `licenses` BusyBox's SPDX expression;
    `patches` the file name of each patch by its sha256, as far as they are known.
    """

    name: str
    licenses: str
    descriptor: Descriptor
    inputs: CellInputs
    contents: Contents
    patches: Mapping[str, str] = field(default_factory=dict, hash=False)

    def patch_names(self) -> tuple[tuple[str, str], ...]:
        """Name and sha256 of each patch, in the order they were applied."""
        return tuple((self.patches.get(sha256, sha256[:12]), sha256) for sha256 in self.inputs.patches)
