"""What a tag may be (distribution-spec, "Pulling manifests"), in layouts and registries alike."""

from __future__ import annotations

import re

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


def is_tag(text: str) -> bool:
    """Whether an image can be tagged so."""
    return bool(_TAG.fullmatch(text))
