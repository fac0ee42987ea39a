"""Content digests (OCI image-spec, descriptor.md, "Digests"): `sha256:HEX`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from minios_steps.core.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

_HEX64 = re.compile(r"[0-9a-f]{64}")
BLOCK = 1 << 20
"""Bytes read at a time when hashing a stream."""


@dataclass(frozen=True, order=True)
class Digest:
    """A sha256 digest.

    Args:
        hex: 64 lower-case hexadecimal characters.

    Raises:
        ImageError: `hex` is anything else.
    """

    hex: str

    def __post_init__(self) -> None:
        if not _HEX64.fullmatch(self.hex):
            raise ImageError(f"not a sha256 digest: {self.hex[:80]!r}")

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:HEX`; any other algorithm or form raises `ImageError`."""
        algorithm, _, rest = text.partition(":")
        if algorithm != "sha256":
            raise ImageError(f"not a sha256 digest: {text[:80]!r}")
        return cls(rest)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The digest of these bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def of_stream(cls, stream: BinaryIO) -> Digest:
        """The digest of what is left in a stream, read a block at a time."""
        state = hashlib.sha256()
        while block := stream.read(BLOCK):
            state.update(block)
        return cls(state.hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Digest:
        """The digest of a file's bytes."""
        with path.open("rb") as stream:
            return cls.of_stream(stream)

    @property
    def short(self) -> str:
        """The first 12 characters, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"sha256:{self.hex}"
