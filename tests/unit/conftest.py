from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a folder of its own: Buildbot's fake master makes and removes `basedir` where it is."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
