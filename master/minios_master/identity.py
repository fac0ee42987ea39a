"""Who a master is to others: the same after a restart, and no other state folder's."""

from __future__ import annotations

import platform
import uuid
from typing import TYPE_CHECKING

from minios_steps.core.oci.atomic import write_bytes
from minios_steps.core.registry.claim import Holder

if TYPE_CHECKING:
    from pathlib import Path


def holder_of(state: Path) -> Holder:
    """The identity of a state folder, made where there is none yet.

    Raises:
        ImageError: it cannot be written.
    """
    path = state / "identity"
    try:
        found = path.read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        found = ""
    if not found:
        found = str(uuid.uuid4())
        state.mkdir(parents=True, exist_ok=True)
        write_bytes(path, f"{found}\n".encode())
    return Holder(found, f"minios on {platform.node()}")
