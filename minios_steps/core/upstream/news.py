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
) -> tuple[tuple[Version, ...], ...]:
    """The releases that somebody who has `pinned` has not and would want, by line, the oldest line first.

    Of a line that is those newer than what is pinned of it, or of all lines when none of it is: old
    releases that were never pinned are no news. The newest comes first: the first that is good is the
    one to have.

    Args:
        there: the releases that are to be had.
        pinned: those that are known already; at least one.
        stable_only: pass over what upstream calls unstable.
    """
    newest = max(pinned)
    known = {minor: max(v for v in pinned if v.minor == minor) for minor in {v.minor for v in pinned}}
    lines: dict[str, list[Version]] = {}
    for version in sorted(set(there)):
        if version > known.get(version.minor, newest) and (is_stable(version) or not stable_only):
            lines.setdefault(version.minor, []).insert(0, version)
    return tuple(map(tuple, lines.values()))
