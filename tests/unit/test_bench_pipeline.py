from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pipeline
from options import Options

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_system_beside_the_downloads_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated compiler's has devices: whoever copies a console waits for ever."""
    monkeypatch.setattr(pipeline, "seed", lambda _options: None)
    cache = tmp_path / "cache"
    for folder in ("sources", "musl", "system-arm64/dev"):
        (cache / folder).mkdir(parents=True)
    (cache / "sources" / "tarball").write_text("source")
    os.mkfifo(cache / "system-arm64" / "dev" / "console")
    options = Options(tmp_path, cache, (), quick=True, full=False, rounds=1, say=print)
    made = pipeline.make_pipeline(options, tmp_path / "one")
    assert (made.state / "cache" / "sources" / "tarball").read_text() == "source"
    assert sorted(path.name for path in (made.state / "cache").iterdir()) == ["musl", "sources"]
    assert (made.config / "minios.yaml").is_file()
