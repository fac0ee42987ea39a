"""One digest over everything that a configuration folder says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_PARTS = ("minios.yaml", "sources.yaml", "workers.yaml", "arches", "kconfig", "patches", "rootfs", "keys")


def config_digest(root: Path) -> Digest:
    """The digest of the names and bytes of a configuration's files; of nothing else in its folder.

    Raises:
        ConfigError: a file cannot be read.
    """
    state = hashlib.sha256()
    for part in _PARTS:
        path = root / part
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                try:
                    digest = Digest.of_file(file)
                except OSError as error:
                    raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
                state.update(f"{file.relative_to(root).as_posix()}\0{digest}\n".encode())
    return Digest(state.hexdigest())
