"""One repository: its blobs, manifests, tags and referrers (distribution-spec 1.1)."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor
from minios_steps.core.oci.referrers import read_referrers
from minios_steps.core.oci.tag import referrers_tag
from minios_steps.core.registry import listing
from minios_steps.core.registry.checks import DIGEST_HEADER, check_digest, media_type
from minios_steps.core.registry.errand import Errand
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.manifests import Put, check_manifest
from minios_steps.core.registry.payload import opened
from minios_steps.core.registry.pull import pull_blob
from minios_steps.core.registry.push import NO_MOUNT, Push, Way
from minios_steps.core.registry.reference import check_repository, check_tag
from minios_steps.core.registry.wire import Ask
from minios_steps.core.web.failures import WebError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import requests

    from minios_steps.core.oci.store import RawResult, Referrer
    from minios_steps.core.registry.wire import Wire

_ACCEPT = {"Accept": ", ".join(sorted(media.INDEXES | media.MANIFESTS))}


class Repository:
    """A repository of a registry.

    Every method waits for the network, and raises `RegistryError` when the registry refuses
    or stays away, `ImageError` when bytes or digests are not the right ones, `CancelledError`
    when the work was cancelled.

    Args:
        wire: the registry.
        name: the repository's path.
    """

    def __init__(self, wire: Wire, name: str) -> None:
        self.name = name
        self._wire = wire
        self._base = f"{wire.endpoint.url}/v2/{name}"
        self._pull = (f"repository:{name}:pull",)
        self._push = f"repository:{name}:pull,push"

    def head_blob(self, digest: Digest) -> int | None:
        """A blob's size in bytes, -1 when the registry does not say; None when it is not there."""
        errand = self._errand(f"blob {digest}")
        good = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        ask = Ask("HEAD", f"{self._base}/blobs/{digest}", self._pull, good)

        def work() -> int | None:
            with errand.attempt(ask) as response:
                if response.status_code == HTTPStatus.NOT_FOUND:
                    return None
                check_digest(response, digest, errand.what)
                length = response.headers.get("Content-Length", "")
                return int(length) if length.isdigit() else -1

        return errand.run(work)

    def open_blob(self, digest: Digest, limit: int) -> Iterator[bytes]:
        """A blob in blocks, of at most `limit` bytes in all.

        The digest is checked before the last block is given: who gets the whole has the right bytes.
        """
        url = f"{self._base}/blobs/{digest}"
        return pull_blob(self._errand(f"blob {digest}"), url, self._pull, digest, limit)

    def read_blob(self, digest: Digest, limit: int) -> bytes:
        """A blob of at most `limit` bytes."""
        return b"".join(self.open_blob(digest, limit))

    def read(self, digest: Digest, limit: int) -> bytes:
        """A blob or a manifest, as `verify.BlobSource` says: one that is missing is an `ImageError`."""
        for get in (self.read_blob, self._read_manifest):
            try:
                return get(digest, limit)
            except RegistryError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                missing = error
        raise ImageError(missing.what) from missing

    def upload_blob(self, source: Path | bytes, digest: Digest, *, mount_from: str = "") -> Way:
        """Make sure the repository has a blob.

        Args:
            source: its bytes, or the file that has them; a file is streamed.
            digest: of these bytes.
            mount_from: a repository of the same registry that may have the blob already.

        Returns:
            How it came there: `there` (it was), `mounted`, or `sent`.
        """
        if mount_from:
            check_repository(mount_from)
        errand = self._errand(f"blob {digest}")
        with opened(source, digest, errand.check) as payload:
            push = Push(
                errand,
                payload,
                f"{self._base}/blobs/",
                self._push,
                mount_from=mount_from,
                mount_scope=f"repository:{mount_from}:pull",
            )
            return errand.run(push.attempt)

    def mount_blob(self, digest: Digest, mount_from: str) -> bool:
        """Have the registry take a blob from another of its repositories; whether it did.

        Without the blob's bytes at hand, which `upload_blob` needs in case it does not.
        """
        check_repository(mount_from)
        errand = self._errand(f"blob {digest}")
        url = f"{self._base}/blobs/uploads/"
        scopes = (self._push, f"repository:{mount_from}:pull")
        query = urlencode({"mount": str(digest), "from": mount_from})
        good = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED, *NO_MOUNT)
        ask = Ask("POST", f"{url}?{query}", scopes, good, {"Content-Length": "0"}, lambda: b"")

        def work() -> bool:
            with errand.attempt(ask) as response:
                if response.status_code == HTTPStatus.CREATED:
                    check_digest(response, digest, errand.what)
                    return True
                location = response.headers.get("Location", "")
            if response.status_code == HTTPStatus.ACCEPTED and location:
                # It opened an upload instead, which nobody is going to use.
                unused = Ask("DELETE", urljoin(response.url, location), (self._push,), tuple(HTTPStatus))
                with suppress(WebError):
                    errand.attempt(unused).close()
            return False

        return errand.run(work)

    def head_manifest(self, ref: str | Digest) -> Descriptor | None:
        """What a tag or digest is: media type, digest and size; None when it is not there."""
        errand = self._errand(f"manifest {ref}")
        good = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        ask = Ask("HEAD", self._manifest_url(ref), self._pull, good, _ACCEPT)

        def work() -> Descriptor | None:
            with errand.attempt(ask) as response:
                if response.status_code == HTTPStatus.NOT_FOUND:
                    return None
                told = response.headers.get(DIGEST_HEADER, "")
                length = response.headers.get("Content-Length", "")
                if not told or not length.isdigit():
                    found = self._get(errand, ref)
                    return Descriptor(found.media_type, found.digest, len(found.raw))
                if isinstance(ref, Digest):
                    check_digest(response, ref, errand.what)
                return Descriptor(media_type(response), Digest.parse(told), int(length))

        return errand.run(work)

    def get_manifest(self, ref: str | Digest) -> RawResult:
        """The exact bytes behind a tag or digest, of at most 4 MiB, hashed again."""
        errand = self._errand(f"manifest {ref}")
        return errand.run(lambda: self._get(errand, ref))

    def put_manifest(self, ref: str | Digest, raw: bytes, kind: str) -> Put:
        """Send a manifest or index, byte for byte, whatever is there; what is below must be there.

        Args:
            ref: the tag to set, or its digest.
            raw: the bytes.
            kind: the media type.
        """
        digest = Digest.of(raw)
        errand = self._errand(f"manifest {ref}")
        if isinstance(ref, Digest) and ref != digest:
            raise ImageError(f"{errand.what}: the bytes to send have the digest {digest}")
        good = (HTTPStatus.CREATED, HTTPStatus.OK)
        url, headers = self._manifest_url(ref), {"Content-Type": kind}
        ask = Ask("PUT", url, (self._push,), good, headers, lambda: raw)

        def work() -> Put:
            with errand.attempt(ask) as response:
                if not check_digest(response, digest, errand.what):
                    found = self._get(errand, ref)
                    if found.digest != digest:
                        raise ImageError(f"{errand.what}: sent {digest}, read back {found.digest}")
                return Put(digest, bool(response.headers.get("OCI-Subject")))

        return errand.run(work)

    def ensure_manifest(self, ref: str | Digest, raw: bytes, kind: str) -> bool:
        """Send a manifest where it is not there already; whether it was sent."""
        try:
            there = self.head_manifest(ref)
        except RegistryError as error:
            # A registry whose disk was full may have half an entry, which writing it again mends.
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR or not isinstance(ref, Digest):
                raise
            there = None
        if there and there.digest == Digest.of(raw):
            return False
        self.put_manifest(ref, raw, kind)
        return True

    def delete_manifest(self, ref: str | Digest) -> bool:
        """Remove a manifest by its digest, or a tag where the registry can do that; whether it was there."""
        errand = self._errand(f"manifest {ref}")
        scope = (f"repository:{self.name}:delete,pull",)
        good = (HTTPStatus.ACCEPTED, HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
        ask = Ask("DELETE", self._manifest_url(ref), scope, good)

        def work() -> bool:
            with errand.attempt(ask) as response:
                return response.status_code != HTTPStatus.NOT_FOUND

        return errand.run(work)

    def tags(self) -> tuple[str, ...]:
        """Every tag, sorted; none when there is no such repository."""
        errand = self._errand("tags")
        return listing.tags(errand, f"{self._base}/tags/list", self._pull)

    def referrers(self, digest: Digest) -> tuple[Referrer, ...]:
        """What refers to a manifest: by the registry's own list, or by the tag that stands in for it."""
        errand = self._errand(f"referrers of {digest}")
        native = listing.referrers(errand, f"{self._base}/referrers/{digest}", self._pull)
        if native is not None:
            return native
        try:
            found = self.get_manifest(referrers_tag(digest))
        except RegistryError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return ()
        return read_referrers(found.raw, errand.what)

    def _get(self, errand: Errand, ref: str | Digest) -> RawResult:
        ask = Ask("GET", self._manifest_url(ref), self._pull, (HTTPStatus.OK,), _ACCEPT)
        response: requests.Response = errand.attempt(ask)
        raw = errand.read(response, MANIFEST_LIMIT)
        return check_manifest(response, raw, ref, errand.what)

    def _read_manifest(self, digest: Digest, limit: int) -> bytes:
        raw = self.get_manifest(digest).raw
        if len(raw) > limit:
            raise ImageError(f"{self.name}: manifest {digest} is larger than the {limit:,} bytes allowed")
        return raw

    def _manifest_url(self, ref: str | Digest) -> str:
        if isinstance(ref, str):
            check_tag(ref)
        return f"{self._base}/manifests/{ref}"

    def _errand(self, what: str) -> Errand:
        return Errand(self._wire, f"{self._wire.endpoint.host}/{self.name}: {what}")
