"""Release tags, rendered from the patterns of `minios.yaml`."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.minios import Minios
    from minios_steps.core.config.project import Project
    from minios_steps.core.version import Version

_FIELDS = {"version": r"\d+\.\d+\.\d+", "minor": r"\d+\.\d+", "major": r"\d+"}


def render(pattern: str, version: Version) -> str:
    """A pattern with `{version}`, `{minor}` and `{major}` filled in."""
    return pattern.format(version=version, minor=version.minor, major=version.major)


def tags_of(project: Project, variant: Variant, version: Version) -> tuple[str, ...]:
    """The tags a version is written under: those of a release, or of a candidate until it is approved."""
    released = project.released
    if version in released:
        return release_tags(project.minios, variant, version, released)
    patterns = project.minios.upstream.candidate_tags.of(variant)
    return tuple(dict.fromkeys(render(pattern, version) for pattern in patterns))


def release_tags(
    minios: Minios, variant: Variant, version: Version, pinned: Iterable[Version]
) -> tuple[str, ...]:
    """The tags that a release owns, the most specific first.

    Args:
        minios: holds the patterns.
        variant: the image's flavour.
        version: the release.
        pinned: every release the configuration has.

    A tag that several pinned versions render to, such as `latest`, belongs to the newest of
    them: building an older one later must not move it back.
    """
    versions = sorted({version, *pinned})
    tags: dict[str, None] = {}
    for pattern in sorted(minios.tags.get(variant, ()), key=_breadth):
        tag = render(pattern, version)
        if max(other for other in versions if render(pattern, other) == tag) == version:
            tags[tag] = None
    return tuple(tags)


def fits(pattern: str, tag: str) -> bool:
    """Whether some version gives a tag this pattern."""
    parts = string.Formatter().parse(pattern)
    form = "".join(re.escape(text) + (_FIELDS[name] if name else "") for text, name, _, _ in parts)
    return bool(re.fullmatch(form, tag, re.ASCII))


def _breadth(pattern: str) -> int:
    """How many releases a pattern's tag may come to stand for: the more, the higher."""
    fields = ("{version}", "{minor}", "{major}")
    return next((rank for rank, field in enumerate(fields) if field in pattern), len(fields))
