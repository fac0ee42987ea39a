"""Signals that end a command: taken like Ctrl-C, and held back while a child or a build is being made."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_SIGNAL = 128
"""What shells add to a signal's number for the exit code of a program that it ended."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ending_as_exit() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `SystemExit(128 + number)`, so that everything is cleaned up.

    One that is ignored, as `nohup` does, stays so; outside of the main thread nothing changes.
    """
    changed = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                changed[number] = signal.signal(number, _exit)
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back a first Ctrl-C, SIGTERM or SIGHUP until the block ends; a second one gets through.

    For what must not be torn apart: a child that runs and whose pid nobody has noted yet.
    """
    came: list[int] = []
    held: dict[int, Any] = {}

    def note(number: int, frame: Any) -> None:
        if came:
            held[number](number, frame)
        came.append(number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, *_ENDING):
            handler = signal.getsignal(number)
            if callable(handler):
                held[number] = handler
                signal.signal(number, note)
    try:
        yield
    finally:
        for kind, handler in held.items():
            signal.signal(kind, handler)
        if came:
            signal.raise_signal(came[0])


def _exit(number: int, _frame: Any) -> None:
    raise SystemExit(_BY_SIGNAL + number)
