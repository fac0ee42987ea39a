"""Where a registry is and how it may be spoken to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.registry.reference import DOCKER_HUB, check_host
from minios_steps.core.web.patience import Patience

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 32 << 20
"""Bytes of a blob that are sent in one request."""
PATIENCE = Patience(connect=10, read=60, total=3600, tries=6, unreachable_tries=6, longest_wait=60)
"""`total` is for one blob or one manifest. A registry that was restarted is back within the waits."""


@dataclass(frozen=True)
class Endpoint:
    """A registry's place, as an operator configures it.

    Args:
        host: `HOST` or `HOST:PORT`, as references write it.
        plain_http: the registry speaks http; nothing else makes this client do so.
        ca: a file of certificate authorities (PEM), trusted beside the usual ones.
        chunk: bytes of a blob in one request; larger blobs are sent in several.
        patience: bounds for waiting and trying again.

    Raises:
        RegistryError: `host` has another form.
    """

    host: str
    plain_http: bool = False
    ca: Path | None = None
    chunk: int = CHUNK
    patience: Patience = PATIENCE

    def __post_init__(self) -> None:
        check_host(self.host)

    @property
    def url(self) -> str:
        """The start of every URL, without a slash at the end."""
        # Docker Hub's references name another host than the one that answers.
        host = "registry-1.docker.io" if self.host == DOCKER_HUB else self.host
        return f"{'http' if self.plain_http else 'https'}://{host}"
