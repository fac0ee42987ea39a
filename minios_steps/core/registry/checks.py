"""What an answer must say of the bytes it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError

if TYPE_CHECKING:
    import requests

    from minios_steps.core.digest import Digest

DIGEST_HEADER = "Docker-Content-Digest"


def check_digest(response: requests.Response, digest: Digest, what: str) -> bool:
    """Whether the registry said the digest, which must be the right one.

    Raises:
        ImageError: it said another one.
    """
    found = response.headers.get(DIGEST_HEADER, "")
    if found.startswith("sha256:") and found != str(digest):
        raise ImageError(f"{what}: expected {digest}, the registry says {found[:80]!r}")
    return bool(found)


def media_type(response: requests.Response) -> str:
    """The `Content-Type` without parameters."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip()
