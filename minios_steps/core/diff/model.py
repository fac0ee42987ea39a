"""The form in which differences are told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same on both sides.

    Args:
        where: a path in the image, or `config`, `manifest`, `layer`, `index`.
        what: such as `section .text`, `mode`, `label org.opencontainers.image.url`.
        before: on the first side, for people; `-` where there is none.
        after: on the second side, likewise.
    """

    where: str
    what: str
    before: str = "-"
    after: str = "-"

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.before} → {self.after}"

    def as_json(self) -> dict[str, str]:
        """A mapping of texts."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Compared:
    """Two images of one platform, or two indexes.

    Args:
        of: the platform, or `index`.
        before: the first one's digest, `sha256:HEX`; empty when there is none.
        after: the second one's, likewise.
        differences: what is different; never empty when the digests are not the same.
    """

    of: str
    before: str
    after: str
    differences: tuple[Difference, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        told = [difference.as_json() for difference in self.differences]
        return {"of": self.of, "before": self.before, "after": self.after, "differences": told}
