from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.cancel import CancelledError
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.cache import SourceCache, WrongDigestError
from minios_steps.core.sources.storage import StorageError

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"a release" * 1000
DIGEST = Digest.of(DATA)


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path / "sources")


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "busybox.tar.bz2"
    path.write_bytes(DATA)
    return path


def files(cache: SourceCache) -> list[Path]:
    return [path for path in cache.root.rglob("*") if path.is_file()]


def test_an_empty_cache_has_nothing(cache: SourceCache) -> None:
    assert cache.get(DIGEST) is None
    assert not cache.root.exists()


def test_what_was_added_is_found_by_its_digest(cache: SourceCache, tarball: Path) -> None:
    path = cache.add(tarball, DIGEST)
    assert path == cache.root / "sha256" / DIGEST.hex
    assert cache.get(DIGEST) == path
    assert path.read_bytes() == DATA
    assert tarball.exists()
    assert files(cache) == [path]


def test_a_file_with_another_digest_is_not_kept(cache: SourceCache, tarball: Path) -> None:
    with pytest.raises(WrongDigestError, match=f"expected {Digest.of(b'').hex}, found {DIGEST.hex}"):
        cache.add(tarball, Digest.of(b""))
    assert files(cache) == []


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"x", b"X" + DATA[1:]])
def test_a_damaged_entry_is_removed(cache: SourceCache, tarball: Path, damage: bytes) -> None:
    path = cache.add(tarball, DIGEST)
    path.write_bytes(damage)
    assert cache.get(DIGEST) is None
    assert not path.exists()


def test_a_missing_file_is_named(cache: SourceCache, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: cannot be read: No such file"):
        cache.add(tmp_path / "nowhere", DIGEST)


def test_a_full_disk_is_one_clear_line(
    cache: SourceCache, tarball: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        cache.add(tarball, DIGEST)
    assert caught.value.what.startswith(
        f"cannot write {cache.path(DIGEST)}: the disk is full, 9,000 bytes are needed"
    )
    assert "\n" not in str(caught.value)
    assert files(cache) == []


def test_a_place_that_cannot_be_a_folder_is_one_clear_line(tmp_path: Path, tarball: Path) -> None:
    (tmp_path / "sources").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*sources.*: Not a directory"):
        SourceCache(tmp_path / "sources").add(tarball, DIGEST)


def test_the_lock_lets_one_in(cache: SourceCache) -> None:
    # Another open file is another holder, in this process as in any other.
    with cache.lock(DIGEST), pytest.raises(CancelledError), cache.lock(DIGEST, lambda: True):
        pass
    with cache.lock(DIGEST, lambda: True):
        pass


def test_locks_of_other_releases_are_free(cache: SourceCache) -> None:
    with cache.lock(DIGEST), cache.lock(Digest.of(b"other"), lambda: True):
        pass


def test_what_a_killed_run_left_is_removed(cache: SourceCache, tarball: Path) -> None:
    kept = cache.add(tarball, DIGEST)
    old, young = (kept.with_name(f".{kept.name}.{name}.tmp") for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"unfinished")
    yesterday = time.time() - 86400
    os.utime(old, (yesterday, yesterday))
    with cache.lock(DIGEST):
        assert not old.exists()
        assert young.exists()


def test_scratch_is_empty_at_first_and_gone_at_last(cache: SourceCache) -> None:
    left = cache.root / "scratch" / DIGEST.hex / "left"
    left.mkdir(parents=True)
    with cache.scratch(DIGEST) as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").touch()
    assert not folder.exists()


def test_unfinished_downloads_are_told_apart_by_origin(cache: SourceCache) -> None:
    here, there = (cache.partial(DIGEST, f"https://{name}/x") for name in ("here", "there"))
    other = cache.partial(Digest.of(b"other"), "https://here/x")
    assert here != there
    here.parent.mkdir(parents=True)
    for path in (here, here.with_suffix(".validator"), there, other):
        path.touch()
    cache.drop_partials(DIGEST)
    assert files(cache) == [other]
