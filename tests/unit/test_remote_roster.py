from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.remote.roster import RefusedError, Roster

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from pathlib import Path

    from minios_master.remote.member import Member

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc)
DAY = dt.timedelta(days=1)
PASSWORD = "p" * 43
OTHER = "q" * 43
FACTS = {"uname": "s390x", "python": "3.7.3", "kernel": "4.19", "cores": "8"}


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    return Roster(tmp_path / "workers")


def invited(roster: Roster, name: str = "s390x-1") -> str:
    _, secret = roster.invite(name, "s390x", 4, NOW, DAY)
    return secret


def redeem(roster: Roster, secret: str, password: str = PASSWORD, **more: Any) -> Member:
    told = {"name": "s390x-1", "machine": FACTS, "now": NOW, **more}
    return roster.redeem(told["name"], secret, password, told["machine"], told["now"])


def test_invite_is_exchanged_once(roster: Roster) -> None:
    secret = invited(roster)
    member = redeem(roster, secret)
    assert member.may_work
    assert member.machine == FACTS
    assert roster.admit("s390x-1", PASSWORD) == member
    with pytest.raises(RefusedError, match="was used already") as refused:
        redeem(roster, secret, OTHER)
    assert refused.value.final
    # An answer got lost: the same machine asks again.
    assert redeem(roster, secret) == member


def test_a_restart_forgets_nothing(roster: Roster) -> None:
    secret = invited(roster)
    redeem(Roster(roster.folder), secret)
    assert Roster(roster.folder).admit("s390x-1", PASSWORD).jobs == 4


def test_only_hashes_are_kept_and_only_for_the_owner(roster: Roster) -> None:
    secret = invited(roster)
    redeem(roster, secret)
    path = roster.folder / "s390x-1.json"
    text = path.read_text("utf-8")
    assert secret not in text
    assert PASSWORD not in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert roster.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"secret": "x" * 43}, "not known here"),
        ({"name": "s390x-2"}, "not known here"),
        ({"name": "../s390x-1"}, "not known here"),
        ({"name": "s390x-1\n"}, "not known here"),
        ({"secret": "\udc80"}, "not known here"),
        ({"now": NOW + DAY}, "has expired"),
        ({"password": "short"}, "too short"),
        ({"password": "\udc80" * 43}, "strange characters"),
    ],
)
def test_wrong_invites(roster: Roster, change: dict[str, Any], told: str) -> None:
    secret = invited(roster)
    with pytest.raises(RefusedError, match=told):
        redeem(roster, **{"secret": secret, **change})
    assert not roster.find("s390x-1").may_work


def test_revoked(roster: Roster) -> None:
    secret = invited(roster)
    roster.revoke("s390x-1", NOW)
    with pytest.raises(RefusedError, match="was revoked"):
        redeem(roster, secret)
    # The name is free again; the old invite stays worth nothing.
    new = invited(roster)
    with pytest.raises(RefusedError, match="not known"):
        redeem(roster, secret)
    assert redeem(roster, new).may_work
    roster.revoke("s390x-1", NOW)
    with pytest.raises(RefusedError, match="was revoked"):
        roster.admit("s390x-1", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password"), [("s390x-1", OTHER), ("s390x-1", ""), ("nobody", PASSWORD), ("../x", PASSWORD)]
)
def test_nobody_else_is_admitted(roster: Roster, name: str, password: str) -> None:
    redeem(roster, invited(roster))
    invited(roster, "waiting")
    for who in (name, "waiting"):
        with pytest.raises(RefusedError, match="name or password is wrong"):
            roster.admit(who, password if who == name else "")


def test_names(roster: Roster) -> None:
    made = [roster.invite("", "s390x", 0, NOW, DAY)[0].name for _ in range(3)]
    assert made == ["s390x-1", "s390x-2", "s390x-3"]
    for name in ("local-x", "coordinator", "s390x-unattached", "debug"):
        with pytest.raises(MiniosError, match="a name of the master's own"):
            roster.invite(name, "s390x", 0, NOW, DAY)
    for name in ("Big", "a/b", "-x", "a.b", "1", "_x", "x" * 51):
        with pytest.raises(MiniosError, match="is not a name"):
            roster.invite(name, "s390x", 0, NOW, DAY)
    with pytest.raises(MiniosError, match="is invited") as error:
        roster.invite("s390x-1", "s390x", 0, NOW, DAY)
    assert "revoke s390x-1" in error.value.hint
    # One that never came in time makes room.
    roster.invite("s390x-1", "s390x", 0, NOW + DAY, DAY)
    with pytest.raises(MiniosError, match="no remote worker 'x': there are s390x-1, s390x-2, s390x-3"):
        roster.find("x")


def test_states(roster: Roster) -> None:
    secret = invited(roster)
    assert roster.find("s390x-1").state(NOW) == "invited"
    assert roster.find("s390x-1").state(NOW + DAY) == "expired"
    redeem(roster, secret)
    assert roster.find("s390x-1").state(NOW + DAY) == "attached"
    roster.revoke("s390x-1", NOW)
    assert roster.find("s390x-1").state(NOW) == "revoked"


def test_what_a_machine_says_is_cut_to_size(roster: Roster) -> None:
    machine = {"uname": "x" * 10_000, "python": "\x1b[31mred\n", "cores": ["a"], "more": "z" * 10_000}
    member = redeem(roster, invited(roster), machine=machine)
    assert member.machine["uname"] == "x" * 64
    assert member.machine["python"] == "?[31mred?"
    assert set(member.machine) == set(FACTS)
    assert (roster.folder / "s390x-1.json").stat().st_size < 2000


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (None, "Invalid JSON"),
        ({"arch": None}, "arch: Input should be a valid string"),
        ({"machine": ["x"]}, "machine: Input should be an object"),
        ({"expires": "soon"}, "Invalid isoformat string: 'soon'"),
        ({"expires": "2030-01-01"}, "the time has no zone"),
        ({"name": "s390x-2"}, "it names the worker 's390x-2'"),
    ],
)
def test_damaged_file(roster: Roster, change: dict[str, Any] | None, told: str) -> None:
    secret = invited(roster)
    invited(roster, "s390x-2")
    path = roster.folder / "s390x-1.json"
    text = path.read_text("utf-8")
    path.write_text(text[:-9] if change is None else json.dumps({**json.loads(text), **change}), "utf-8")
    with pytest.raises(MiniosError, match=r"s390x-1\.json is damaged"):
        redeem(roster, secret)
    with pytest.raises(MiniosError, match=r"s390x-1\.json is damaged"):
        roster.find("s390x-1")
    # The others do not suffer from it.
    assert [member.name for member in roster.members()] == ["s390x-2"]
    [problem] = roster.problems()
    assert problem.startswith(f"{path} is damaged: ")
    assert told in problem
    assert roster.invite("", "s390x", 0, NOW, DAY)[0].name == "s390x-3"
    invited(roster)
    assert roster.problems() == ()


def test_file_that_is_called_as_no_worker_is(roster: Roster) -> None:
    """Buildbot would take no configuration with it."""
    invited(roster)
    text = (roster.folder / "s390x-1.json").read_text("utf-8")
    (roster.folder / "s390.x.json").write_text(text.replace("s390x-1", "s390.x"), "utf-8")
    assert [member.name for member in roster.members()] == ["s390x-1"]
