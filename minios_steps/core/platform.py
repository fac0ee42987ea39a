"""OCI platforms (image-spec, image-index.md, "platform"): `linux/arm64/v8`."""

from __future__ import annotations

from dataclasses import dataclass

from minios_steps.core.errors import ImageError

# containerd's platforms package: these variants mean the same as none.
_DEFAULT_VARIANTS = {("arm64", "v8"): "", ("amd64", "v1"): ""}
_MIN_PARTS, _MAX_PARTS = 2, 3


@dataclass(frozen=True, order=True)
class Platform:
    """An operating system, an architecture (Go's name) and an optional variant."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os/architecture[/variant]`; raises `ImageError` on any other form."""
        parts = text.split("/")
        if not _MIN_PARTS <= len(parts) <= _MAX_PARTS or not all(parts):
            raise ImageError(f"not a platform: {text!r}", hint="write os/architecture[/variant]")
        return cls(*parts)

    @property
    def normalised(self) -> Platform:
        """The platform with a default variant dropped: compare these."""
        return Platform(
            self.os, self.architecture, _DEFAULT_VARIANTS.get((self.architecture, self.variant), self.variant)
        )

    def as_json(self) -> dict[str, str]:
        """The `platform` object of an index entry."""
        found = {"architecture": self.architecture, "os": self.os}
        return {**found, "variant": self.variant} if self.variant else found

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
