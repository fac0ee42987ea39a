"""A verified release as it will be built: with those patches of the newest pinned one that apply."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.patching import apply_patch
from minios_steps.core.sources.storage import StorageError
from minios_steps.core.sources.unpack import unpack
from minios_steps.core.upstream.discoveries import Discovered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from minios_steps.core.upstream.release_files import VerifiedRelease


def adopt(
    release: VerifiedRelease,
    patches: Sequence[Path],
    *,
    max_unpacked: int,
    cancelled: Callable[[], bool] = never,
) -> Discovered:
    """Try the patches on a release, one on top of the other.

    Blocks; call it from a thread.

    Args:
        release: the release.
        patches: those of the newest pinned release, in the order they apply.
        max_unpacked: how many bytes the release may unpack to.
        cancelled: asked often.

    Raises:
        SourceError: the tarball is damaged or unsafe, or there is no git.
        StorageError: the disk is full.
        CancelledError: cancelled.
    """
    applied: list[str] = []
    refused: list[str] = []
    with TemporaryDirectory(prefix="minios-adopt-") as folder:
        unpack(release.tarball, Path(folder), max_bytes=max_unpacked, cancelled=cancelled)
        tree = Path(folder, f"busybox-{release.version}")
        if not tree.is_dir():
            raise SourceError(f"{release.tarball.name}: a release's top folder is busybox-{release.version}")
        for patch in patches:
            try:
                apply_patch(patch, tree, cancelled)
            except StorageError:
                raise
            except SourceError as error:
                refused.append(error.what)
            else:
                applied.append(patch.name)
    return Discovered(
        version=str(release.version),
        sha256=release.sha256,
        epoch=release.epoch,
        url=release.url,
        fingerprint=release.fingerprint,
        patches=tuple(applied),
        refused=tuple(refused),
        found=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
    )
