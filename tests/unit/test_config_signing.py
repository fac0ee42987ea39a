from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from releasebed import MINIOS, make_project

from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_signed_by_default(tmp_path: Path) -> None:
    minios = make_project(tmp_path / "config").minios
    assert minios.signing.key_secret == ""
    assert minios.builder_id == "urn:minios:builder"


def test_secrets_are_named(tmp_path: Path) -> None:
    more = "signing: {key_secret: the-key, password_secret: its-password}\nbuilder_id: https://ci.example/m\n"
    minios = make_project(tmp_path / "config", {"minios.yaml": MINIOS + more}).minios
    assert (minios.signing.key_secret, minios.signing.password_secret) == ("the-key", "its-password")
    assert minios.builder_id == "https://ci.example/m"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("signing: {password_secret: p}\n", "password_secret goes with key_secret"),
        ("signing: {key: here}\n", "signing.key"),
        ("builder_id: the builder\n", "should be a URI, such as https://ci.example/minios: 'the builder'"),
        ("builder_id: ''\n", "should be a URI"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(more: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"minios.yaml:\d+") as caught:
        make_project(tmp_path / "config", {"minios.yaml": MINIOS + more})
    assert said in str(caught.value)
