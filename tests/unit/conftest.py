from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _own_folder() -> Iterator[None]:
    """Each test in a folder of its own: Buildbot's fake master makes and removes `basedir` where it is."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="minios-unit-") as folder:
        os.chdir(folder)
        yield
        os.chdir(before)
