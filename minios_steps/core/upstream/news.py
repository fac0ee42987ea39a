"""Which of the releases that are to be had are news."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from minios_steps.core.version import Version


def is_stable(version: Version) -> bool:
    """Whether upstream calls a release stable.

    BusyBox announces the first release of a line, `x.y.0`, as unstable and those that follow,
    `x.y.1` and up, as stable; some lines never get a stable one.
    """
    return version.patch > 0


def news(
    there: Iterable[Version], pinned: Collection[Version], *, stable_only: bool = False
) -> tuple[Version, ...]:
    """The releases that somebody who has `pinned` has not and would want, the oldest first.

    That is of each line the newest one, when it is newer than what is pinned of that line, or of
    all lines when none of it is: old releases that were never pinned are no news.

    Args:
        there: the releases that are to be had.
        pinned: those that are known already; at least one.
        stable_only: pass over what upstream calls unstable.
    """
    newest = max(pinned)
    lines: dict[str, Version] = {}
    for version in there:
        if not stable_only or is_stable(version):
            lines[version.minor] = max(version, lines.get(version.minor, version))
    known = {minor: max(v for v in pinned if v.minor == minor) for minor in {v.minor for v in pinned}}
    return tuple(sorted(v for minor, v in lines.items() if v > known.get(minor, newest)))
