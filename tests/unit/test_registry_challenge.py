from __future__ import annotations

import pytest

from minios_steps.core.registry.challenge import parse_challenges

Told = list[tuple[str, dict[str, str]]]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="a"', [("basic", {"realm": "a"})]),
        (
            'Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "r",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'bearer  Realm = "x" , SERVICE=y,error=invalid_token',
            [("bearer", {"realm": "x", "service": "y", "error": "invalid_token"})],
        ),
        ('Bearer realm="a \\"b\\", c"', [("bearer", {"realm": 'a "b", c'})]),
        (
            'Negotiate, Basic realm="a, b", Bearer realm="c"',
            [("negotiate", {}), ("basic", {"realm": "a, b"}), ("bearer", {"realm": "c"})],
        ),
        ("Negotiate YWJj==, Basic realm=a", [("negotiate", {"ywjj": "="}), ("basic", {"realm": "a"})]),
        ('Bearer realm="never closed', [("bearer", {"realm": ""})]),
        ('="x"', []),
        (",,, ,", []),
    ],
)
def test_challenges(header: str, wanted: Told) -> None:
    found = [(challenge.scheme, dict(challenge.parameters)) for challenge in parse_challenges(header)]
    assert found == wanted
