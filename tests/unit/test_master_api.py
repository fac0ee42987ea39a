from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from masterbed import BRID, build, fake_master, properties, worker
from minios_master import api as module
from minios_master.api import MasterApi, NoAnswerError
from tenacity import wait_none

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterbed import FakeMaster


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._RETRY, "wait", wait_none())


@pytest.fixture
def master() -> Iterator[FakeMaster]:
    with fake_master() as made:
        yield made


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def test_dropped_connection_is_tried_again(master: FakeMaster) -> None:
    master.drop = 2
    assert MasterApi(master.url).builder_names() == {1: "x86_64", 2: "matrix"}


def test_body_that_was_cut_off_is_asked_for_again(master: FakeMaster) -> None:
    answers: list[Any] = [b"", b'{"buil', {"builders": []}]
    master.answers["builders"] = lambda _query: answers.pop(0)
    assert MasterApi(master.url).builder_names() == {}


def test_dropped_control_is_not_sent_twice(master: FakeMaster) -> None:
    master.drop = 1
    with pytest.raises(NoAnswerError, match=r"does not answer$"):
        MasterApi(master.url).force_matrix()
    assert master.controls == []


def test_no_master_there() -> None:
    url = nobody()
    for ask in (lambda: MasterApi(url).get("builders"), lambda: MasterApi(url).control("x", "force")):
        with pytest.raises(NoAnswerError) as caught:
            ask()
        assert caught.value.what == f"the master at {url} does not answer"
    assert MasterApi(url).is_ready() is False


def test_master_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    with fake_master(serving=False) as master:
        for ask in (
            lambda: MasterApi(master.url).get("builders"),
            lambda: MasterApi(master.url).control("x", "stop"),
        ):
            with pytest.raises(NoAnswerError, match=r"said nothing for 0\.05 s$"):
                ask()


def test_proxy_of_the_environment_is_passed_by(master: FakeMaster, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, nobody())
    assert MasterApi(master.url).is_ready()


def test_unknown_path(master: FakeMaster) -> None:
    with pytest.raises(MiniosError, match=r"^the master answered 404 to nowhere$") as caught:
        MasterApi(master.url).get("nowhere")
    assert not isinstance(caught.value, NoAnswerError)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": -32603, "message": "no such builder"}, "no such builder"),
        ({"message": {"jobs": "not a number", "arches": "unknown"}}, "jobs: not a number; arches: unknown"),
        ("invalid origin", "invalid origin"),
    ],
)
def test_refusal_has_the_masters_words(error: Any, words: str, master: FakeMaster) -> None:
    master.replies["force"] = {"error": error}
    with pytest.raises(MiniosError) as caught:
        MasterApi(master.url).force_matrix(jobs="x")
    assert caught.value.what == f"the master refused force: {words}"


@pytest.mark.parametrize("raw", [b"<html>", b"", b"[]", b"null"])
def test_answer_that_is_none(raw: bytes, master: FakeMaster) -> None:
    master.replies["stop"] = raw
    with pytest.raises(MiniosError, match=r"^the master answered 200 to stop$"):
        MasterApi(master.url).stop_build(3, "because")


def test_force_tells_the_build_request(master: FakeMaster) -> None:
    assert MasterApi(master.url).force_matrix(arches=["sw64"], jobs=2) == BRID
    assert master.controls == [("forceschedulers/matrix", "force", {"arches": ["sw64"], "jobs": 2})]


@pytest.mark.parametrize(
    ("schedulers", "workers", "ready"),
    [
        (["matrix"], [worker("coordinator"), worker("local-x86_64")], True),
        ([], [worker("coordinator")], False),
        (["matrix"], [], False),
        (["matrix"], [worker("coordinator"), worker("local-x86_64", connected=False)], False),
        (["matrix"], [worker("coordinator", connected=False), worker("local-x86_64")], False),
        # A vendor's machine may join whenever it likes.
        (["matrix"], [worker("coordinator"), worker("sw64-unattached", connected=False)], True),
        # An earlier run had a compiler that is gone.
        (["matrix"], [worker("coordinator"), worker("local-old", connected=False, configured=False)], True),
        (["matrix"], [worker("coordinator", configured=False)], False),
    ],
)
def test_ready(schedulers: list[str], workers: list[Any], *, ready: bool, master: FakeMaster) -> None:
    master.answers["forceschedulers"] = {"forceschedulers": schedulers}
    master.answers["workers"] = {"workers": workers}
    assert MasterApi(master.url).is_ready() is ready


def test_leftovers_are_cancelled(master: FakeMaster) -> None:
    asked = []

    def left(query: dict[str, str]) -> Any:
        asked.append(query)
        return {"buildrequests": [{"buildrequestid": 3}, {"buildrequestid": 4}]}

    master.answers["buildrequests"] = left
    assert MasterApi(master.url).cancel_leftovers() == 2
    assert asked == [{"complete": "false"}]
    assert [(path, method) for path, method, _ in master.controls] == [
        ("buildrequests/3", "cancel"),
        ("buildrequests/4", "cancel"),
    ]


def test_newest_build_of_a_request(master: FakeMaster) -> None:
    path = f"buildrequests/{BRID}/builds"
    master.answers[path] = {"builds": [build(5, number=1), build(9, number=3), build(8, number=2)]}
    found = MasterApi(master.url).build_of_request(BRID)
    assert found is not None
    assert found["buildid"] == 9
    master.answers[path] = {"builds": []}
    assert MasterApi(master.url).build_of_request(BRID) is None


def test_properties_are_values(master: FakeMaster) -> None:
    master.answers["builds/1/properties"] = properties(version="1.38.0", cells=[1])
    assert MasterApi(master.url).properties(1) == {"version": "1.38.0", "cells": [1]}
