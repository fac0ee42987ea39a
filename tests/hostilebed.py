"""A worker that lies: seeded sequences of what may come over a connection, in any order and form."""

from __future__ import annotations

import copy
import ctypes
import gc
from random import Random
from typing import TYPE_CHECKING, Any

from minios_steps.worker_command import MAX_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable

HANG_UP = "hang up"
NEVER = "never"
ENDED = "ended"
_BIG = "x" * 300_000


def seeded(number: int) -> Random:
    """The dice of one case."""
    return Random(number)  # noqa: S311  # nothing secret


def wrong(dice: Random) -> Any:
    """A value that has no business where it is."""
    return dice.choice(
        (
            *(None, True, 0, -1, 1, 2**31, -(2**63), 2**400, 1.5, float("nan"), float("inf")),
            *("", "text", "\x00\x1b[2J\r\b", b"\xff\xfe\x80", b"", _BIG, _BIG.encode()),
            *([], {}, (), [[]], {"rc": 0}, {1: 2}, {b"stdout": b"x"}, [[{}, 0]], [1, 2], {"a": {"b": []}}),
            *([[{"rc": 0}, "number"]], [[{"rc": 0}]], [({"stdout": b"\xff" * 50}, 0)], [None], "updates"),
        )
    )


def update(dice: Random) -> Any:
    """Updates: of the form that they have, or nearly."""
    key: Any = dice.choice(("stdout", "stderr", "header", "rc", "elapsed", "failure_reason", "log", "files"))
    honest = {
        "rc": dice.choice((0, 1, -1, 127)),
        "elapsed": 1.5,
        "failure_reason": dice.choice(("timeout", "max_lines_failure")),
        "log": ("stdio", "text\n"),
        "files": ["x"],
    }
    value: Any = honest.get(key, dice.choice(("a line\n", "half a line", "\r\b\x08\n", "\u2603\n" * 40)))
    if dice.random() < 0.3:
        value = wrong(dice)
    if dice.random() < 0.1:
        key = wrong(dice)
    try:
        # Not the same one thrice: that would be another lie.
        return [[{key: copy.deepcopy(value)}, 0] for _ in range(dice.choice((1, 1, 1, 3, 0)))]
    except TypeError:
        return wrong(dice)


class Liar:
    """Plays one command.

    Args:
        dice: seeded.
        tell: calls a method of the master's: `command`, `writer` or `reader`, its name, arguments.
        flood: bytes of output that are too much for one command.
    """

    def __init__(self, dice: Random, tell: Callable[..., None], flood: int = 2 * MAX_OUTPUT) -> None:
        self.dice = dice
        self.tell = tell
        self.flood = flood

    def play(self) -> str:
        """Say anything; returns how it ended: `ENDED`, `HANG_UP` or `NEVER`."""
        dice = self.dice
        for _ in range(dice.randrange(7)):
            self._move()
        end = dice.random()
        if end < 0.06:
            return HANG_UP
        if end < 0.12:
            return NEVER
        if dice.random() < 0.7:
            self.tell("command", "update", [[{"rc": 0}, 0]])
        self.tell("command", "complete", None if dice.random() < 0.8 else wrong(dice))
        # It need not be quiet because it has ended.
        for _ in range(dice.randrange(4)):
            self._move()
        return ENDED

    def _move(self) -> None:
        dice = self.dice
        kind = dice.randrange(12)
        if kind < 5:
            self.tell("command", "update", update(dice))
        elif kind == 5:
            self.tell("command", "update", wrong(dice))
        elif kind == 6:
            self.tell("command", "complete", wrong(dice))
        elif kind == 7:
            self.tell("writer", "write", dice.choice((b"data", _BIG.encode(), wrong(dice))))
        elif kind == 8:
            self.tell("writer", dice.choice(("close", "utime", "unpack", "commit", "keep")))
        elif kind == 9:
            self.tell("reader", "read", dice.choice((1, 1 << 19, wrong(dice))))
        elif kind == 10:
            self.tell("reader", dice.choice(("close", "update", "read")))
        else:
            self._flood()

    def _flood(self) -> None:
        """As much output as one command must not have; rare, as it takes its time."""
        if self.dice.random() < 0.05:
            for _ in range(self.flood // len(_BIG)):
                self.tell("command", "update", [[{"stdout": _BIG}, 0]])


def resident() -> int:
    """Bytes of memory that this process holds, without what was freed and not given back to the system."""
    gc.collect()
    # glibc keeps freed memory for itself, the more of it the more ran before; musl has no such function.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123
        return int(stream.read().split()[1]) * 4096
