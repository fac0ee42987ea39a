from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.properties import Interpolate, Properties
from minios_master.plain_properties import PlainProperties
from twisted.internet import defer

if TYPE_CHECKING:
    import pytest

PLAIN = {
    "text": ("x", "Build"),
    "cells": ([{"arch": "sw64", "size": 7, "seconds": 1.5, "good": True, "reason": None}], "TriggerMatrix"),
    "pairs": ([["a", ("b", "c")]], "Build"),
    "empty": ({}, "Build"),
}


def made(told: dict[str, Any], kind: type[Properties] = PlainProperties) -> Properties:
    properties = kind.fromDict(told)
    properties.build = object()
    return properties


def rendered(properties: Properties) -> Any:
    found: list[Any] = []
    done = properties.render(properties.asDict())
    done.addCallback(found.append)
    assert found, "it did not fire at once"
    return found[0]


def test_plain_properties_are_what_buildbot_makes_of_them() -> None:
    assert rendered(made(PLAIN)) == rendered(made(PLAIN, Properties)) == PLAIN


def test_plain_properties_are_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Properties, "render", lambda *_: defer.fail(AssertionError("rendered")))
    assert rendered(made(PLAIN)) == PLAIN


class Odd(dict[str, str]):
    """Not what json gives: it is left to Buildbot."""


def test_whatever_else_is_left_to_buildbot() -> None:
    told = {**PLAIN, "late": (Interpolate("%(prop:text)s!"), "Build"), "odd": (Odd(a="b"), "Build")}
    found = rendered(made(told))
    assert found["late"] == ("x!", "Build")
    assert found == rendered(made(told, Properties))
