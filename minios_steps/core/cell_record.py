"""The record of a cell that was built: of its image, and of what went into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.model import Descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class CellRecord:
    """A cell that was built.

    `inputs` is `CellInputs.as_json()`, whose digest is `key`; `descriptor` the image's
    manifest with its platform; `smoke` the results of the smoke test; `size` bytes of
    manifest, config and layer; `built` the time, ISO 8601 in UTC.
    """

    key: Digest
    arch: str
    version: str
    variant: str
    descriptor: Descriptor
    inputs: Mapping[str, Any]
    smoke: tuple[Mapping[str, Any], ...]
    size: int
    built: str

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return {
            "key": str(self.key),
            "arch": self.arch,
            "version": self.version,
            "variant": self.variant,
            "descriptor": self.descriptor.as_json(),
            "inputs": dict(self.inputs),
            "smoke": [dict(check) for check in self.smoke],
            "size": self.size,
            "built": self.built,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> CellRecord:
        """What `as_json` gave; raises `ImageError` when something is missing or malformed."""
        try:
            return cls(
                key=Digest.parse(told["key"]),
                arch=str(told["arch"]),
                version=str(told["version"]),
                variant=str(told["variant"]),
                descriptor=Descriptor.from_json(told["descriptor"], "cell record: descriptor"),
                inputs=dict(told["inputs"]),
                smoke=tuple(dict(check) for check in told["smoke"]),
                size=int(told["size"]),
                built=str(told["built"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ImageError(f"not a cell's record: {type(error).__name__}: {error}") from error
