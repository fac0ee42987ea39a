"""A release as upstream publishes it: the tarball, its checksum and its signature, verified together."""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import https
from minios_steps.core.sources.cache import SourceCache, WrongDigestError
from minios_steps.core.sources.request import Request
from minios_steps.core.upstream.listing import CHECKSUM, SIGNATURE, tarball_name
from minios_steps.core.upstream.signature import BadSignatureError, PinnedKey, verify_signature
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from minios_steps.core.web.patience import Patience

SMALL = 1 << 16
"""Bytes a checksum or signature may have; real ones have some 100."""

_NO_VERSION = Version(0, 0, 0)
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})(?: [ *](\S+))?", re.ASCII)


class NotYetError(SourceError):
    """A file of the release is not there: it may come.

    Args:
        what: which one.
        unsigned: only the signature is missing.
    """

    def __init__(self, what: str, *, unsigned: bool = False) -> None:
        super().__init__(what)
        self.unsigned = unsigned


class BadReleaseError(SourceError):
    """The release's files are there, and do not vouch for each other: it must never be built."""


@dataclass(frozen=True)
class VerifiedRelease:
    """A release whose bytes upstream's key vouches for.

    Args:
        version: the release.
        sha256: of the tarball, in hexadecimal.
        fingerprint: of the primary key that signed it.
        url: where the tarball came from.
        epoch: the time of its newest file, in seconds since 1970.
        tarball: the file, in the source cache.
    """

    version: Version
    sha256: str
    fingerprint: str
    url: str
    epoch: int
    tarball: Path


@dataclass(frozen=True)
class Client:
    """How upstream's files are fetched.

    Args:
        cache: where tarballs are kept.
        keys: one of these must have signed them.
        max_bytes: how large a tarball may be.
        patience: how long a server may take.
        report: called with lines for people, from the calling thread.
        cancelled: asked often.
    """

    cache: SourceCache
    keys: Sequence[PinnedKey]
    max_bytes: int
    patience: Patience
    report: Callable[[str], None]
    cancelled: Callable[[], bool]

    def read(self, url: str, *, insecure: bool, limit: int) -> bytes:
        """A small file or a page; raises as `https.obtain_url`."""
        with TemporaryDirectory(prefix="minios-upstream-") as folder:
            request = Request(
                _NO_VERSION, Digest.of(url.encode()), limit, Path(), self.report, self.cancelled
            )
            cache = SourceCache(Path(folder))
            page = https.obtain_url(url, request, cache, insecure=insecure, patience=self.patience)
            return page.path.read_bytes()

    def verify(self, version: Version, folder: str, *, insecure: bool) -> VerifiedRelease:
        """Fetch a release and verify it: the checksum, then the signature.

        Blocks; call it from a thread.

        Args:
            version: the release.
            folder: the URL of the folder that its files are in, with a slash at its end.
            insecure: whether plain http is allowed.

        Raises:
            NotYetError: a file is not there yet.
            BadReleaseError: the checksum is not the tarball's, or the signature is not good.
            SourceError: something cannot be had, or cannot be verified here.
            CancelledError: cancelled.
        """
        url = f"{folder}{tarball_name(version)}"
        # The small files first: without them there is no use in the large one.
        checksum = self._small(f"{url}{CHECKSUM}", insecure=insecure)
        signature = self._small(f"{url}{SIGNATURE}", insecure=insecure, unsigned=True)
        digest = parse_checksum(checksum, tarball_name(version))
        tarball = self._tarball(version, url, digest, insecure=insecure)
        try:
            signed = verify_signature(tarball, signature, self.keys, cancelled=self.cancelled)
        except BadSignatureError as error:
            raise BadReleaseError(error.what, details=error.details) from error
        epoch = newest_time(tarball, version)
        return VerifiedRelease(version, digest.hex, signed.fingerprint, url, epoch, tarball)

    def _small(self, url: str, *, insecure: bool, unsigned: bool = False) -> bytes:
        try:
            return self.read(url, insecure=insecure, limit=SMALL)
        except https.NotThereError as error:
            raise NotYetError(f"{url} is not there yet", unsigned=unsigned) from error

    def _tarball(self, version: Version, url: str, digest: Digest, *, insecure: bool) -> Path:
        request = Request(version, digest, self.max_bytes, Path(), self.report, self.cancelled)
        with self.cache.lock(digest, self.cancelled):
            if found := self.cache.get(digest):
                return found
            # Bytes of an earlier try could be another file's; a release is small enough to start afresh.
            self.cache.drop_partials(digest)
            try:
                obtained = https.obtain_url(
                    url, request, self.cache, insecure=insecure, patience=self.patience
                )
                return self.cache.add(obtained.path, digest)
            except https.NotThereError as error:
                raise NotYetError(f"{url} is not there yet") from error
            except WrongDigestError as error:
                raise BadReleaseError(f"the tarball is not what its {CHECKSUM} says: {error.what}") from error
            finally:
                self.cache.drop_partials(digest)


def parse_checksum(data: bytes, name: str) -> Digest:
    """The digest in a file as `sha256sum` writes it (coreutils' manual), for the file `name`.

    Raises:
        BadReleaseError: it is something else, or another file's.
    """
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    matches = [_CHECKSUM.fullmatch(line) for line in lines]
    digests = {m[1].lower() for m in matches if m and (m[2] is None or m[2].rpartition("/")[2] == name)}
    if len(digests) != 1:
        raise BadReleaseError(f"its {CHECKSUM} does not give one sha256 of {name}")
    return Digest(digests.pop())


def newest_time(tarball: Path, version: Version) -> int:
    """When the newest file in a release's tarball was changed, in seconds since 1970.

    Raises:
        BadReleaseError: it is no tarball, an empty one, or another release's: an old tarball
            under a new name has a good signature too.
    """
    top = f"busybox-{version}"
    newest = -1
    try:
        with tarfile.open(tarball) as tar:
            for member in tar:
                if member.name.partition("/")[0] != top:
                    raise BadReleaseError(f"the tarball is not of {top}: it holds {member.name[:80]!r}")
                newest = max(newest, int(member.mtime))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BadReleaseError(f"the tarball cannot be read: {error}") from error
    if newest < 0:
        raise BadReleaseError("the tarball is empty")
    return newest
