"""`Outbox`: what people were told, and what is still on its way to them, in the master's database."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python import log

from minios_master.notices.events import Notice, Told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from minios_master.notices.events import Judged

MOST = 100
"""Messages that wait for a channel; of more, the oldest are given up."""

_CLASS = "minios.Notices"
_STATE = "told"
_UNSENT = "unsent"


class Outbox:
    """The memory of one channel: it is written once for what was told and for the message that tells it.

    Args:
        channel: the name under which it is kept, such as `mail`.
    """

    def __init__(self, channel: str) -> None:
        self.channel = channel
        # Two events at once must not both find that nothing was told.
        self._lock = defer.DeferredLock()

    async def add(self, master: Any, judge: Callable[[Told], Awaitable[Judged]]) -> list[Notice]:
        """Have an event judged, and keep the notices that come of it, as one message, until `done`."""
        await self._lock.acquire()
        try:
            before = await self._read(master)
            now, notices = await judge(Told.from_json(before))
            unsent = _messages(before)
            if notices:
                unsent.append(notices)
            if len(unsent) > MOST:
                log.msg(f"notices by {self.channel}: {len(unsent) - MOST} are given up, too many wait")
            await self._write(master, before, now, unsent[-MOST:])
        finally:
            self._lock.release()
        return notices

    async def first(self, master: Any) -> list[Notice]:
        """The notices of the message that waits longest; none when nothing waits."""
        return next(iter(_messages(await self._read(master))), [])

    async def done(self, master: Any, notices: list[Notice]) -> None:
        """Forget a message: it arrived, or never will."""
        await self._lock.acquire()
        try:
            before = await self._read(master)
            left = [message for message in _messages(before) if message != notices]
            await self._write(master, before, Told.from_json(before), left)
        finally:
            self._lock.release()

    async def _read(self, master: Any) -> Any:
        number = await master.db.state.getObjectId(f"notices-{self.channel}", _CLASS)
        return await master.db.state.getState(number, _STATE, None)

    async def _write(self, master: Any, before: Any, told: Told, unsent: list[list[Notice]]) -> None:
        now = {**told.as_json(), _UNSENT: [[dataclasses.asdict(one) for one in them] for them in unsent]}
        # Most events are news to nobody.
        if now != before and (before is not None or told != Told() or unsent):
            number = await master.db.state.getObjectId(f"notices-{self.channel}", _CLASS)
            await master.db.state.setState(number, _STATE, now)


def _messages(data: Any) -> list[list[Notice]]:
    """The messages in what `_write` wrote; none in anything else."""
    try:
        return [
            [Notice(**{**one, "lines": tuple(one["lines"])}) for one in message]
            for message in data.get(_UNSENT, [])
        ]
    except (KeyError, TypeError, AttributeError):
        return []
