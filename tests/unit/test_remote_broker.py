"""`WorkerBroker`: what a worker's connection may do, and how long it may be silent."""

from __future__ import annotations

import random
from typing import Any

import pytest
from brokerbed import Line
from minios_master.remote.broker import Bounds
from twisted.spread import banana, pb

BOUNDS = Bounds()
KINDS = (b"copy", b"cache", b"local", b"remote", b"persistent", b"instance", b"method", b"decimal")
COMMANDS = (b"message", b"cachemessage", b"answer", b"error", b"decref", b"decache", b"version")
DETECTED = 60
"""Seconds in which a worker that hangs must be noticed."""


def encoded(expression: Any) -> bytes:
    """An expression on the wire, without recursion: some are nested deep on purpose."""
    out = []
    waiting = [expression]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            out.append(_length(len(item)) + banana.LIST)
            waiting += reversed(item)
        elif isinstance(item, bytes):
            out.append(_length(len(item)) + banana.STRING + item)
        else:
            out.append(banana.encode(item))
    return b"".join(out)


def _length(number: int) -> bytes:
    made: list[bytes] = []
    banana.int2b128(number, made.append)
    return b"".join(made)


def test_a_worker_that_answers_stays() -> None:
    line = Line()
    line.attach()
    line.pass_time(1000)
    assert not line.is_cut
    assert line.bot.printed == ["ping"] * 100
    assert line.call("tell", {"rc": 0, "text": "x" * 500_000, "none": None, "list": [1, (2.5, True)]}) == [1]


@pytest.mark.parametrize("moment", [0.0, 3.0, 9.9, 10.0, 14.0])
def test_a_hung_worker_is_noticed_in_time(moment: float) -> None:
    line = Line()
    line.attach()
    line.pass_time(100 + moment, 0.1)
    line.hung = True
    line.pass_time(DETECTED - 1)
    assert line.is_cut
    assert line.worker.lost_because.startswith("no answer for ")
    line.close()
    assert not line.clock.getDelayedCalls()


def test_a_silent_half_minute_is_none() -> None:
    line = Line()
    line.attach()
    line.pass_time(100)
    line.hung = True
    line.pass_time(30)
    line.hung = False
    line.pump()
    line.pass_time(100)
    assert not line.is_cut


def test_a_slow_line_that_brings_bytes_has_more_time() -> None:
    line = Line()
    line.attach()
    line.pass_time(20)
    line.hung = True
    data = encoded([b"message", 1, b"root", b"tell", 1, [b"tuple", b"x" * 400_000], [b"dictionary"]])
    for number in range(200):
        line.server.dataReceived(data[number * 1000 : (number + 1) * 1000])
        line.clock.advance(1)
        assert not line.is_cut
    # But not for ever.
    for number in range(200, 320):
        line.server.dataReceived(data[number * 1000 : (number + 1) * 1000])
        line.clock.advance(1)
    assert line.is_cut


def test_a_master_that_stood_still_cuts_nobody() -> None:
    line = Line()
    line.attach()
    line.pass_time(100)
    line.clock.advance(10.0)
    line.clock.advance(8 * 3600)
    assert not line.is_cut
    line.pass_time(100)
    assert not line.is_cut


def test_who_never_attaches_is_cut() -> None:
    line = Line()
    line.pass_time(BOUNDS.attach)
    assert not line.is_cut
    line.pass_time(2 * BOUNDS.tick)
    assert line.is_cut
    assert line.worker.lost_because == ""


def test_a_message_without_an_end() -> None:
    line = Line()
    sent = 0
    line.server.dataReceived(b"\x00\x00\x28\x80")  # a list of 640 Ki things
    while not line.is_cut:
        piece = b"\x00\x00\x04\x82" + b"x" * 65536
        line.server.dataReceived(piece)
        sent += len(piece)
    assert sent <= BOUNDS.message + 2 * 65540
    # Nothing more is kept, or read.
    line.server.dataReceived(b"x" * 1000)


def shared(depth: int) -> Any:
    """Each list twice in the next: small here, and 2 ** depth things once it is unfolded."""
    expression: Any = [b"list", 1, 2]
    for number in range(depth):
        expression = [b"list", [b"reference", number, expression], [b"dereference", number]]
    return expression


def nested(depth: int) -> Any:
    expression: Any = [b"list"]
    for _ in range(depth):
        expression = [b"list", expression]
    return expression


TWICE = "a message with an object in two places"


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        (shared(12), TWICE),
        (shared(1), TWICE),
        ([b"reference", 1, [b"list", [b"dereference", 1]]], TWICE),
        (nested(40), "a message nested more than 32 deep"),
        (nested(5000), "a message nested more than 32 deep"),
        ([b"os.system", b"true"], "more than 50 of its calls failed"),
        ([b"function", b"os.system"], "more than 50 of its calls failed"),
    ],
)
def test_arguments_that_are_traps(argument: Any, why: str) -> None:
    line = Line()
    line.attach()
    data = encoded([b"message", 1, b"root", b"tell", 1, [b"tuple", argument], [b"dictionary"]])
    for _ in range(BOUNDS.failures + 1):
        line.server.dataReceived(data)
    assert line.is_cut
    assert why in line.worker.lost_because
    assert line.root.told == []


@pytest.mark.parametrize(
    "expression",
    [
        5,
        b"hello",
        [],
        [5],
        [b"answer", 99, 1],
        [b"error", 99, 1],
        [b"decref", 77],
        [b"decache", 1],
        [b"uncache", 1],
        [b"version", 99],
        [b"didNotUnderstand", b"x" * 100_000],
        [b"message"],
        [b"message", 1, b"root", b"tell", 0, [b"tuple", 1], [b"dictionary"]],
        [b"message", 1, b"root", b"t" * 1000, 1, [b"tuple", 1], [b"dictionary"]],
        [b"message", 1, b"root", 5, 1, [b"tuple", 1], [b"dictionary"]],
    ],
)
def test_what_breaks_the_protocol_ends_it(expression: Any) -> None:
    line = Line()
    line.attach()
    line.send(expression)
    assert line.is_cut
    assert len(line.worker.lost_because) <= 200
    assert line.worker.lost_because.isprintable()


def test_calls_that_fail_and_floods() -> None:
    line = Line()
    for _ in range(BOUNDS.failures):
        line.call("fail")
    assert not line.is_cut
    line.call("fail")
    assert line.is_cut
    line = Line(Bounds(rate=10))
    for _ in range(45):
        line.call("tell", 1)
    line.pass_time(BOUNDS.tick)
    assert not line.is_cut
    for _ in range(60):
        line.call("tell", 1)
    line.pass_time(BOUNDS.tick)
    assert line.is_cut


def test_what_an_honest_worker_fails_with_passes() -> None:
    line = Line()
    line.attach()
    failure = pb.CopyableFailure(OSError(28, "No space left on device"))
    assert line.call("tell", failure) == [1]
    [told] = line.root.told
    assert (told.type, told.value) == (b"builtins.OSError", "[Errno 28] No space left on device")


def test_thousands_of_random_bytes() -> None:
    """Any bytes at all: the connection goes on or ends, and nothing is raised into the reactor."""
    dice = random.Random(20)  # noqa: S311
    ended = 0
    for _ in range(3000):
        line = Line()
        line.attach()
        kinds = dice.choices((_bytes, _expression, _mutated), k=3)
        for kind in kinds:
            line.server.dataReceived(kind(dice))
        ended += line.is_cut
        line.close()
        assert not line.clock.getDelayedCalls()
    assert ended > 1000


def _bytes(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(60))


def _expression(dice: random.Random) -> bytes:
    def thing(depth: int) -> Any:
        kind = dice.randrange(8 if depth else 5)
        if kind == 0:
            return dice.choice((0, 1, -1, 2**31, -(2**31), 2**400))
        if kind == 1:
            return dice.random()
        if kind == 2:
            words = (b"root", b"bot", b"tell", b"fail", b"list", b"tuple", b"dictionary", b"unicode", b"None")
            return dice.choice(words)
        if kind == 3:
            return dice.choice(
                (b"copy", b"cache", b"local", b"remote", b"persistent", b"instance", b"method")
            )
        if kind == 4:
            return dice.randbytes(dice.randrange(9))
        return [thing(depth - 1) for _ in range(dice.randrange(5))]

    command = dice.choice(
        (b"message", b"cachemessage", b"answer", b"error", b"decref", b"decache", b"version")
    )
    return encoded([command, *(thing(3) for _ in range(dice.randrange(8)))])


def _mutated(dice: random.Random) -> bytes:
    data = bytearray(encoded([b"message", 1, b"root", b"tell", 1, [b"tuple", 1], [b"dictionary"]]))
    data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)
