"""How one cell of the matrix ended."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from minios_steps.core.errors import PolicyError
from minios_steps.core.oci.model import Descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.config.base import Variant
    from minios_steps.core.plan import Cell

Outcome = Literal["published", "reused", "built", "failed", "no-worker", "timed-out", "refused"]
"""How a cell ended. `built` is a good candidate that is in no index yet; `refused` is one whose
bytes did not hold what they claim."""

GOOD: frozenset[Outcome] = frozenset({"published", "reused", "built"})
"""The outcomes that leave a candidate behind."""


@dataclass(frozen=True)
class CellResult:
    """How one cell ended.

    Args:
        arch: the arch's name.
        version: the release, as text.
        variant: `static` or `dynamic`.
        outcome: one of `Outcome`.
        reason: why it is not good, one line; empty when it is.
        digest: the image manifest's digest, `sha256:HEX`; empty without one.
        size: bytes of manifest, config and compressed layer together.
        seconds: wall-clock time of its build.
        key: the cell's key, `sha256:HEX`; empty when it was not worked out.
        attach: how to attach a worker for it; only of `no-worker`.
        descriptor: of the image manifest; None without one.
    """

    arch: str
    version: str
    variant: Variant
    outcome: Outcome
    reason: str = ""
    digest: str = ""
    size: int = 0
    seconds: float = 0.0
    key: str = ""
    attach: str = ""
    descriptor: Descriptor | None = None

    @classmethod
    def built(
        cls, cell: Cell, candidate: Mapping[str, Any], *, reused: bool = False, seconds: float = 0.0
    ) -> CellResult:
        """A cell with a candidate.

        Args:
            cell: the cell.
            candidate: its `CellRecord` in JSON form.
            reused: it was built in an earlier run.
            seconds: wall-clock time.

        Raises:
            ImageError: the record's descriptor is damaged.
        """
        descriptor = Descriptor.from_json(candidate.get("descriptor"), f"{cell}: candidate")
        return cls(
            cell.arch,
            str(cell.version),
            cell.variant,
            "reused" if reused else "built",
            digest=str(descriptor.digest),
            size=int(candidate.get("size", 0)),
            seconds=seconds,
            key=str(candidate.get("key", "")),
            descriptor=descriptor,
        )

    @classmethod
    def failed(cls, cell: Cell, reason: str, *, seconds: float = 0.0) -> CellResult:
        """A cell whose build ended badly."""
        return cls(cell.arch, str(cell.version), cell.variant, "failed", reason, seconds=seconds)

    @classmethod
    def timed_out(cls, cell: Cell, reason: str, *, seconds: float = 0.0) -> CellResult:
        """A cell that nobody took, or that ran too long."""
        return cls(cell.arch, str(cell.version), cell.variant, "timed-out", reason, seconds=seconds)

    @classmethod
    def no_worker(cls, cell: Cell, attach: str) -> CellResult:
        """A cell for whose arch no worker is connected; `attach` says how to attach one."""
        reason = f"no worker for {cell.arch} is connected"
        return cls(cell.arch, str(cell.version), cell.variant, "no-worker", reason, attach=attach)

    def as_json(self) -> dict[str, Any]:
        """The result as a mapping of plain types."""
        told = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**told, "descriptor": self.descriptor.as_json() if self.descriptor else None}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> CellResult:
        """Read what `as_json` gave.

        Raises:
            PolicyError: a field is missing or unknown, or the outcome is none.
            ImageError: the descriptor is damaged.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(told) != names:
            raise PolicyError(f"not a cell's result: fields {', '.join(sorted(set(told) ^ names))}")
        if told["outcome"] not in get_args(Outcome):
            raise PolicyError(f"not a cell's outcome: {told['outcome']!r:.40}")
        descriptor = Descriptor.from_json(told["descriptor"], "cell") if told["descriptor"] else None
        return cls(**{**told, "descriptor": descriptor})
