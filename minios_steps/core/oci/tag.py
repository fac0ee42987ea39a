"""What a tag may be (distribution-spec, "Pulling manifests"), in layouts and registries alike."""

from __future__ import annotations

import re

from minios_steps.core.digest import Digest

OWN = "_minios-"
"""How the tags begin that this project keeps for its own notes, such as the claim of a release."""
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
# The list of referrers itself, or what cosign keeps beside an image: `.sig`, `.att`, `.sbom`.
_ABOUT = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z]+)?", re.ASCII)


def is_tag(text: str) -> bool:
    """Whether an image can be tagged so."""
    return bool(_TAG.fullmatch(text))


def is_hidden(tag: str) -> bool:
    """Whether no person gave a tag: a stand-in for a list of referrers, or one of this project's notes."""
    return tag.startswith(OWN) or bool(_ABOUT.fullmatch(tag))


def referrers_tag(subject: Digest) -> str:
    """The tag of a list of referrers where nobody else keeps one ("Referrers Tag Schema")."""
    return f"sha256-{subject.hex}"


def subject_of_tag(tag: str) -> Digest | None:
    """The manifest that a tag of the schema is about; None for all other tags."""
    match = _ABOUT.fullmatch(tag)
    return Digest(match[1]) if match else None
