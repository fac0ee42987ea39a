from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.config.sources import FileMirror
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import file
from minios_steps.core.sources.request import Request
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

NAME = "busybox-1.38.0.tar.bz2"


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / NAME).write_bytes(b"release")
    return Request(Version.parse("1.38.0"), Digest.of(b""), 7, tmp_path, print, lambda: False)


def obtain(path: str, request: Request) -> Path:
    return file.obtain(FileMirror(kind="file", path=path), request).path


@pytest.mark.parametrize("path", ["mirror/busybox-{version}.tar.bz2", "mirror/", "mirror"])
def test_paths_start_from_the_config_folder(request_: Request, path: str) -> None:
    assert obtain(path, request_) == request_.config_root / "mirror" / NAME


def test_an_absolute_path_is_taken_as_it_is(request_: Request, tmp_path: Path) -> None:
    assert obtain(f"{tmp_path}/mirror/", request_) == tmp_path / "mirror" / NAME


def test_a_missing_file_is_named(request_: Request) -> None:
    with pytest.raises(SourceError, match=r"gone/busybox-1\.38\.0\.tar\.bz2: No such file or directory"):
        obtain("gone/", request_)


def test_a_pipe_is_not_opened(request_: Request, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe: not a regular file"):
        obtain("pipe", request_)


def test_a_file_over_the_limit_is_not_taken(request_: Request, tmp_path: Path) -> None:
    (tmp_path / "mirror" / NAME).write_bytes(b"12345678")
    with pytest.raises(SourceError, match="8 bytes, more than the 7 allowed"):
        obtain("mirror", request_)
