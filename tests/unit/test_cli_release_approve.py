from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from minios_master.cli import release_approve
from minios_master.cli.output import CliContext
from minios_master.settings import Settings

from minios_steps.core.errors import PolicyError
from minios_steps.core.upstream.discoveries import Discovered, Discoveries

if TYPE_CHECKING:
    from pathlib import Path


class Context:
    def __init__(self, folder: Path) -> None:
        self.obj = CliContext(write_config(folder / "config"), folder / "state")
        self.file = Discoveries(Settings(self.obj.config, self.obj.state).discoveries)


def test_approved_and_then_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx: Any = Context(tmp_path)
    built: list[Any] = []
    monkeypatch.setattr(release_approve, "matrix", lambda *_, **asked: built.append(asked))
    monkeypatch.setattr(release_approve, "who_asks", lambda: "me")
    with pytest.raises(PolicyError):
        release_approve.approve(ctx, "1.40.0")
    assert built == []
    ctx.file.add(Discovered("1.40.0", "c" * 64, 1, "https://example.org/x", "F" * 40, (), (), "now"))
    ctx.file.mark_passed("1.40.0")
    release_approve.approve(ctx, "1.40.0", as_json=True)
    assert ctx.file.read()["1.40.0"].approved == "me"
    assert built == [{"version": ["1.40.0"], "as_json": True}]


def test_approved_by_a_user_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    ctx: Any = Context(tmp_path)
    monkeypatch.setattr(release_approve, "matrix", lambda *_, **__: None)
    monkeypatch.setattr(getpass, "getuser", nameless)
    ctx.file.add(Discovered("1.40.0", "c" * 64, 1, "https://example.org/x", "F" * 40, (), (), "now"))
    ctx.file.mark_passed("1.40.0")
    release_approve.approve(ctx, "1.40.0")
    # Somebody did: without a text it would not count.
    assert ctx.file.read()["1.40.0"].approved == f"uid {os.getuid()}"
