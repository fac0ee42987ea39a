"""Mirrors of the kind `file`: a folder on this machine, or mounted on it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from minios_steps.core.errors import SourceError
from minios_steps.core.sources.request import Obtained

if TYPE_CHECKING:
    from minios_steps.core.config.sources import FileMirror
    from minios_steps.core.sources.request import Request


def obtain(mirror: FileMirror, request: Request) -> Obtained:
    """Find the release's tarball; it is not copied.

    Raises:
        SourceError: there is no such file, or it is too large.
    """
    path = request.config_root / request.fill(mirror.path)
    try:
        if path.is_dir():
            path = path / f"busybox-{request.version}.tar.bz2"
        told = path.stat()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    # Opening a pipe would wait for ever.
    if not stat.S_ISREG(told.st_mode):
        raise SourceError(f"{path}: not a regular file")
    if told.st_size > request.max_bytes:
        raise SourceError(f"{path}: {told.st_size:,} bytes, more than the {request.max_bytes:,} allowed")
    return Obtained(path, str(path))
