from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import typer
from minios_master.cli import main
from minios_master.signals import ending_as_exit, held_back

if TYPE_CHECKING:
    from collections.abc import Callable

ENDING = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _restored() -> Any:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    yield
    for number, handler in before.items():
        assert signal.getsignal(number) == handler
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_ends_like_an_exit(number: int, code: int) -> None:
    cleaned = []

    def work() -> None:
        with ending_as_exit():
            try:
                send(number)
            finally:
                cleaned.append(number)

    with pytest.raises(SystemExit) as done:
        work()
    assert done.value.code == code
    assert cleaned == [number]


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_as_exit():
            send(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_no_handlers() -> None:
    seen: list[Any] = []

    def work() -> None:
        with ending_as_exit(), held_back():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_signal_is_held_back_until_the_end(number: int) -> None:
    done = []

    def work() -> None:
        with ending_as_exit(), held_back():
            send(number)
            done.append(number)

    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
        work()
    assert done == [number]
    code = caught.value.code if isinstance(caught.value, SystemExit) else 130
    assert code == 128 + number


def test_second_signal_gets_through() -> None:
    done = []

    def work() -> None:
        with held_back():
            for name in ("first", "second"):
                send(signal.SIGINT)
                done.append(name)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["first"]


def test_held_back_signal_is_not_lost_by_an_error() -> None:
    def fail() -> None:
        with held_back():
            send(signal.SIGINT)
            raise ValueError("something else")

    with pytest.raises(KeyboardInterrupt):
        fail()


def test_nothing_came() -> None:
    with ending_as_exit(), held_back():
        pass


def test_child_that_is_made_meanwhile_takes_signals_as_usual() -> None:
    import subprocess  # noqa: PLC0415  # beside the only test that starts something

    with held_back(), subprocess.Popen(["sleep", "60"]) as child:
        child.send_signal(signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM


@pytest.mark.parametrize(
    ("interrupt", "code"),
    [
        (lambda: send(signal.SIGTERM), 143),
        (lambda: send(signal.SIGHUP), 129),
        (lambda: send(signal.SIGINT), 130),
        (lambda: sys.exit(1), 1),
    ],
)
def test_command_line_ends_with_the_shells_code(
    interrupt: Callable[[], None],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def probe(ctx: typer.Context) -> None:  # noqa: ARG001
        interrupt()

    probe.__annotations__ = {"ctx": typer.Context, "return": None}
    monkeypatch.setattr(main, "COMMANDS", {"probe": "probe:probe"})
    monkeypatch.setattr(main, "_load", lambda _place: probe)
    with pytest.raises(SystemExit) as done:
        main.run(["probe"])
    assert done.value.code == code
    assert capsys.readouterr() == ("", "")
