"""A build's properties, which are written down after each step without being rendered."""

from __future__ import annotations

from typing import Any

from buildbot.process.properties import Properties
from twisted.internet import defer

_PLAIN = (str, int, float, bool, type(None))


class PlainProperties(Properties):  # type: ignore[misc]
    """Buildbot's, where rendering what has nothing to render costs next to nothing.

    After each step Buildbot renders all properties of the build, to write down those that changed:
    some ten calls for each text and number in them. A matrix keeps what became of its cells in
    properties, and spent an eighth of the master's time on that.

    `stored` is what `PropertyWrites` has written: each property's JSON and source, by the build's number
    and its name; `writing` is held while it writes.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stored: dict[tuple[int, str], tuple[str, str]] = {}
        self.writing = defer.DeferredLock()

    def render(self, value: Any) -> Any:
        """A Deferred of the value with everything in it rendered; a plain value is its own."""
        return defer.succeed(value) if _is_plain(value) else super().render(value)


def _is_plain(value: Any) -> bool:
    # Not isinstance: what is derived from these may well be something to render.
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is dict:
        return all(_is_plain(key) and _is_plain(inner) for key, inner in value.items())
    return kind in (list, tuple) and all(map(_is_plain, value))
