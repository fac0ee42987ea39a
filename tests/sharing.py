"""Which tests one process runs, where several share them."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

ENGINE = {"test_docker_backend.py", "test_layout.py", "test_load.py", "test_registry_tour.py"}
"""They share a Docker engine, the whole matrix, and what the kernel knows of emulators."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file stay together, and so do those of the files that share an engine."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.split("::", 1)[0])
        return "engine" if path.name in ENGINE else str(path)
