from __future__ import annotations

import random

import pytest
from minios_master.remote.invites import Invite
from minios_worker.invite import parse
from minios_worker.problem import WorkerError

MADE = Invite("build.example.org", 9990, 40000, "ab" * 32, "sw64-1", "s" * 43)


@pytest.mark.parametrize("host", ["build.example.org", "192.0.2.1", "2001:db8::1"])
def test_the_worker_reads_what_the_master_wrote(host: str) -> None:
    made = Invite(host, 9990, 40000, "ab" * 32, "sw64-1", "s" * 43)
    assert tuple(parse(str(made))) == tuple(made.__dict__.values())


def test_a_mail_program_may_fold_it() -> None:
    text = str(MADE)
    assert parse(f"  {text[:50]}\n {text[50:]}\r\n") == parse(text)
    # Nothing in it that a shell or a browser would touch.
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_damage_is_noticed() -> None:
    text = str(MADE)
    seeded = random.Random(4)  # noqa: S311
    for _ in range(500):
        place = seeded.randrange(len(text))
        broken = seeded.choice((text[:place], text[:place] + "A~"[text[place] == "A"] + text[place + 1 :]))
        if broken != text:
            with pytest.raises(WorkerError, match=r"invite"):
                parse(broken)


@pytest.mark.parametrize(
    "change",
    [
        {"host": "a b"},
        {"host": "$(reboot)"},
        {"port": 0},
        {"port": 70000},
        {"tunnel_port": "x"},
        {"name": "../../etc"},
        {"name": ""},
        {"fingerprint": "AB" * 32},
        {"fingerprint": "ab"},
        {"secret": "'; rm"},
    ],
)
def test_parts_of_the_wrong_kind(change: dict[str, object]) -> None:
    with pytest.raises(WorkerError, match="another version"):
        parse(str(Invite(**{**MADE.__dict__, **change})))


@pytest.mark.parametrize(
    "text", ["", "hello", "minios2.e30.x", "minios1", "minios1..", "minios1.e30.ca3d163b"]
)
def test_no_invite(text: str) -> None:
    with pytest.raises(WorkerError, match="invite"):
        parse(text)
