"""Reading a bill of materials in CycloneDX's JSON (ECMA-424): of which image it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.model import decode, encode
from minios_steps.core.supply.statement import CYCLONEDX, Statement

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/vnd.cyclonedx+json"


def encode_bill(statement: Statement) -> bytes:
    """The bill in a statement, alone, in its one form."""
    return encode(statement.predicate)


def parse_bill(raw: bytes, what: str = "bill of materials") -> Statement:
    """A bill as a statement about the image that it says it is of; `what` is what messages call it.

    Raises:
        ImageError: it is no bill in CycloneDX, or names no image by digest.
    """
    told = decode(raw, what)
    name, digest = described(told, what)
    return Statement(digest, name, CYCLONEDX, told)


def described(told: Mapping[str, Any], what: str = "bill of materials") -> tuple[str, Digest]:
    """Name and digest of the image that a bill is of.

    Raises:
        ImageError: it is no bill in CycloneDX, or names no image by digest.
    """
    if told.get("bomFormat") != "CycloneDX":
        raise ImageError(f"{what}: not in the format CycloneDX")
    metadata = told.get("metadata")
    component = metadata.get("component") if isinstance(metadata, dict) else None
    hashes = component.get("hashes") if isinstance(component, dict) else None
    for one in hashes if isinstance(hashes, list) else ():
        if isinstance(one, dict) and one.get("alg") == "SHA-256" and isinstance(one.get("content"), str):
            return str(component.get("name", "") if component else ""), Digest(one["content"])
    raise ImageError(f"{what}: does not say of which image it is")
