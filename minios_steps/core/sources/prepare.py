"""A release as workers get it: verified, patched, and repacked the same way every time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never, stop_if
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.kbuild import KbuildRules
from minios_steps.core.sources.patching import apply_patch
from minios_steps.core.sources.repack import repack
from minios_steps.core.sources.storage import locked, remove_leftovers, replacing, scratch_folder, writing
from minios_steps.core.sources.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from minios_steps.core.version import Version

_FORMAT = 1
"""Changes whenever the same input would give other bytes."""


@dataclass(frozen=True)
class PreparedSource:
    """A patched source, ready to be sent.

    Args:
        path: the tar.gz; its one top folder is `busybox-VERSION`.
        digest: of that file.
        key: of everything that decides its content.
        rules_path: a file with `KbuildRules` as JSON.
    """

    path: Path
    digest: Digest
    key: Digest
    rules_path: Path

    def rules(self) -> KbuildRules:
        """Which objects a configuration compiles; raises `SourceError` when the file was damaged since."""
        try:
            return KbuildRules.from_json(self.rules_path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SourceError(f"{self.rules_path}: cannot be read: {error.strerror}") from error


def prepare(
    version: Version,
    tarball: Path,
    patches: Sequence[Path],
    *,
    cache_root: Path,
    epoch: int,
    max_unpacked: int,
    cancelled: Callable[[], bool] = never,
) -> PreparedSource:
    """Unpack, patch and repack a release, once for the same input.

    Blocks; call it from a thread. Several threads and processes may ask for the same.

    Args:
        version: names the top folder.
        tarball: the verified upstream file.
        patches: in the order they apply.
        cache_root: holds `KEY.tar.gz`, `KEY.kbuild.json` and `KEY.json`, which vouches for the two.
        epoch: seconds since 1970, the time of every file.
        max_unpacked: how many bytes the files may have together.
        cancelled: asked often; when it says yes, the work stops.

    Raises:
        SourceError: the tarball is no BusyBox, or damaged; a patch is missing or does not
            apply; there is no git.
        UnsafeArchiveError: the tarball holds what must not be unpacked.
        StorageError: the disk is full, or refuses to be written.
        CancelledError: cancelled.
    """
    key = _key(version, tarball, patches, epoch)
    with locked(cache_root / f"{key.hex}.lock", cancelled):
        if found := _cached(cache_root, key):
            return found
        archive, rules_path, record = _paths(cache_root, key)
        for path in (rules_path, record):
            remove_leftovers(path)
        with scratch_folder(cache_root / f"{key.hex}.tmp") as scratch:
            packed = scratch / f"busybox-{version}.tar.gz"
            _build(tarball, patches, packed, epoch=epoch, max_unpacked=max_unpacked, cancelled=cancelled)
            rules = KbuildRules.from_tarball(packed).to_json().encode()
            digest = Digest.of_file(packed)
            stop_if(cancelled)
            _write(rules_path, rules)
            with writing(archive):
                packed.replace(archive)
            told = {"archive": digest.hex, "rules": Digest.of(rules).hex}
            _write(record, json.dumps(told, sort_keys=True).encode())
        return PreparedSource(archive, digest, key, rules_path)


def _build(
    tarball: Path,
    patches: Sequence[Path],
    packed: Path,
    *,
    epoch: int,
    max_unpacked: int,
    cancelled: Callable[[], bool],
) -> None:
    """Unpack beside `packed`, patch, and pack again under the name of `packed`."""
    folder = packed.parent / "tree"
    with writing(folder):
        folder.mkdir()
    unpack(tarball, folder, max_bytes=max_unpacked, cancelled=cancelled)
    tree = _top(folder, tarball)
    for patch in patches:
        apply_patch(patch, tree, cancelled)
    repack(tree, packed.name.removesuffix(".tar.gz"), packed, epoch=epoch, cancelled=cancelled)


def _key(version: Version, tarball: Path, patches: Sequence[Path], epoch: int) -> Digest:
    inputs = {
        "format": _FORMAT,
        "version": str(version),
        "source": _digest_of(tarball, "source").hex,
        "patches": [_digest_of(patch, "patch").hex for patch in patches],
        "epoch": epoch,
    }
    return Digest.of(json.dumps(inputs, sort_keys=True).encode())


def _digest_of(path: Path, what: str) -> Digest:
    try:
        return Digest.of_file(path)
    except OSError as error:
        raise SourceError(f"{what} {path}: {error.strerror}") from error


def _paths(cache_root: Path, key: Digest) -> tuple[Path, Path, Path]:
    stem = cache_root / key.hex
    return stem.with_suffix(".tar.gz"), stem.with_suffix(".kbuild.json"), stem.with_suffix(".json")


def _cached(cache_root: Path, key: Digest) -> PreparedSource | None:
    """What an earlier call left, when its bytes are still those it wrote."""
    archive, rules_path, record = _paths(cache_root, key)
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        digest = Digest.of_file(archive)
        if told == {"archive": digest.hex, "rules": Digest.of_file(rules_path).hex}:
            return PreparedSource(archive, digest, key, rules_path)
    except (OSError, ValueError):
        pass
    return None


def _top(folder: Path, tarball: Path) -> Path:
    found = sorted(folder.iterdir())
    if len(found) != 1 or found[0].is_symlink() or not found[0].is_dir():
        raise SourceError(
            f"{tarball.name}: a release has one top folder, this has {len(found)} things at its top"
        )
    return found[0]


def _write(path: Path, data: bytes) -> None:
    with replacing(path, needed=len(data)) as stream:
        stream.write(data)
