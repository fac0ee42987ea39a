"""A pinned release's tarball, from the cache or from the first mirror that has the right bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cancel import CancelledError, stop_if
from minios_steps.core.config.sources import FileMirror, HttpsMirror
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import debian, file, https
from minios_steps.core.sources.cache import WrongDigestError
from minios_steps.core.sources.request import Obtained, Request
from minios_steps.core.sources.storage import StorageError
from minios_steps.core.web.url import host_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.config.sources import Mirror, Sources
    from minios_steps.core.sources.cache import SourceCache
    from minios_steps.core.version import Version

CACHE = "cache"
"""The mirror's name when nothing was downloaded."""


@dataclass(frozen=True)
class FetchResult:
    """A verified tarball.

    Args:
        path: the file, in the cache: read it, never change it.
        digest: its sha256, as pinned.
        mirror: where it came from, for people; `cache` when it was there already.
        attempts: one line for each mirror that was tried and failed.
    """

    path: Path
    digest: Digest
    mirror: str
    attempts: tuple[str, ...]


def fetch(
    version: Version,
    sources: Sources,
    *,
    cache: SourceCache,
    config_root: Path,
    report: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> FetchResult:
    """Get a release whose bytes have the pinned sha256.

    Blocks; call it from a thread. When several want one release at once, one downloads.

    Args:
        version: the release.
        sources: the pinned releases and their mirrors, tried in order.
        cache: where verified tarballs are kept.
        config_root: the folder that `file` mirrors are relative to.
        report: called with lines for people, from the calling thread.
        cancelled: asked often; when it says yes, the download stops.

    Raises:
        SourceError: the version is not pinned, or no mirror has it; `details` has a line per mirror.
        StorageError: this machine's disk is full, or refuses to be written.
        CancelledError: cancelled.
    """
    release = sources.releases.get(str(version))
    if release is None:
        raise SourceError(f"BusyBox {version} is not pinned", hint="add it to sources.yaml")
    digest = Digest(release.sha256)
    request = Request(version, digest, sources.max_bytes, config_root, report, cancelled)
    with cache.lock(digest, cancelled):
        damaged = cache.path(digest).exists()
        if found := cache.get(digest):
            return FetchResult(found, digest, CACHE, ())
        if damaged:
            report(f"the cached BusyBox {version} was damaged, and is removed")
        return _from_mirrors(sources.mirrors, request, cache)


def _from_mirrors(mirrors: tuple[Mirror, ...], request: Request, cache: SourceCache) -> FetchResult:
    attempts: list[str] = []
    problems: list[str] = []
    for mirror in mirrors:
        stop_if(request.cancelled)
        name = _name(mirror, request)
        request.report(f"trying {name}")
        try:
            path, origin = _from_mirror(mirror, request, cache)
        except (StorageError, CancelledError):
            raise
        except SourceError as error:
            attempts.append(f"{name}: {error}")
            problems.append(f"{name}: {error.what}")
            request.report(attempts[-1])
            continue
        cache.drop_partials(request.digest)
        request.report(f"BusyBox {request.version} is from {origin}, sha256 {request.digest.hex}")
        return FetchResult(path, request.digest, origin, tuple(attempts))
    raise SourceError(
        f"BusyBox {request.version} cannot be fetched: {'; '.join(problems)}",
        hint="add a mirror to sources.yaml, such as a folder of kind `file`",
        details="\n".join(attempts),
    )


def _from_mirror(mirror: Mirror, request: Request, cache: SourceCache) -> tuple[Path, str]:
    """The verified file and where exactly it came from."""
    if isinstance(mirror, FileMirror):
        obtained = file.obtain(mirror, request)
        return cache.add(obtained.path, request.digest), obtained.origin
    if isinstance(mirror, HttpsMirror):
        obtained = https.obtain(mirror, request, cache)
        try:
            return _keep(obtained, request, cache), obtained.origin
        except WrongDigestError:
            if not obtained.resumed:
                raise
        request.report(f"{obtained.origin}: the resumed download does not fit together, starting afresh")
        obtained = https.obtain(mirror, request, cache)
        return _keep(obtained, request, cache), obtained.origin
    with cache.scratch(request.digest) as folder:
        obtained = debian.obtain(mirror, request, folder)
        return _keep(obtained, request, cache), obtained.origin


def _keep(obtained: Obtained, request: Request, cache: SourceCache) -> Path:
    """Verify a downloaded file into the cache; the download is gone afterwards, right or wrong."""
    try:
        return cache.add(obtained.path, request.digest)
    finally:
        obtained.path.unlink(missing_ok=True)


def _name(mirror: Mirror, request: Request) -> str:
    """A mirror's name for people, without what may be secret in a URL."""
    if isinstance(mirror, HttpsMirror):
        return host_of(request.fill(mirror.url))
    if isinstance(mirror, FileMirror):
        return request.fill(mirror.path)
    return f"Debian source package {mirror.package}"
