"""Manifests as a registry gives and takes them: bytes first, and never derived anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.model import decode
from minios_steps.core.oci.store import RawResult
from minios_steps.core.registry.checks import check_digest, media_type

if TYPE_CHECKING:
    import requests

_KINDS = media.INDEXES | media.MANIFESTS


@dataclass(frozen=True)
class Put:
    """A manifest that was sent; `subject_listed` when the registry keeps the list of referrers itself."""

    digest: Digest
    subject_listed: bool


def check_manifest(response: requests.Response, raw: bytes, ref: str | Digest, what: str) -> RawResult:
    """Check an answer's bytes against everything that is said of them.

    Raises:
        ImageError: the digest asked for, the digest in the headers, or the media type does not fit.
    """
    found = Digest.of(raw)
    if isinstance(ref, Digest) and found != ref:
        raise ImageError(f"{what}: its bytes have the digest {found}")
    check_digest(response, found, what)
    kind = media_type(response)
    inside = decode(raw, what).get("mediaType", kind)
    # Some registries answer with a general type; two types of ours must be one.
    if kind in _KINDS and inside != kind:
        raise ImageError(f"{what}: the registry says {kind}, the manifest says {inside!r:.80}")
    return RawResult(raw, kind if kind in _KINDS else str(inside), found)
