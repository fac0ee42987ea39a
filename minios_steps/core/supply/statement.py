"""in-toto statements (in-toto attestation, spec/v1/statement.md): a claim about an image by its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.model import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE = "https://in-toto.io/Statement/v1"
MEDIA_TYPE = "application/vnd.in-toto+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
CYCLONEDX = "https://cyclonedx.org/bom"
"""The predicate type of a bill of materials (in-toto attestation, spec/predicates/cyclonedx.md)."""


@dataclass(frozen=True)
class Statement:
    """One claim: `predicate` says of what kind `predicate_type` is, about the manifest `subject`."""

    subject: Digest
    name: str
    predicate_type: str
    predicate: Mapping[str, Any]

    def encode(self) -> bytes:
        """The statement's one form; `name` is for people."""
        return encode(
            {
                "_type": TYPE,
                "subject": [{"name": self.name, "digest": {"sha256": self.subject.hex}}],
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )

    @classmethod
    def parse(cls, raw: bytes, what: str = "statement") -> Statement:
        """Read a statement with one subject; `what` is what messages call it.

        Raises:
            ImageError: it is anything else.
        """
        told = decode(raw, what)
        kind, predicate, subjects = (told.get(key) for key in ("predicateType", "predicate", "subject"))
        if told.get("_type") != TYPE or not isinstance(kind, str) or not isinstance(predicate, dict):
            raise ImageError(f"{what}: not an in-toto statement of version 1")
        if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(subjects[0], dict):
            raise ImageError(f"{what}: expected one subject")
        digests, name = subjects[0].get("digest"), subjects[0].get("name", "")
        found = digests.get("sha256") if isinstance(digests, dict) else None
        if not isinstance(found, str) or not isinstance(name, str):
            raise ImageError(f"{what}: the subject has no sha256")
        return cls(Digest(found), name, kind, predicate)
