"""Mirrors of the kind `https`: downloads that are bounded, resumed, retried and cancellable."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from minios_steps.core.cancel import stop_if
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.request import Obtained
from minios_steps.core.sources.storage import StorageError, writing
from minios_steps.core.web.failures import (
    MissingError,
    TransientError,
    WebError,
    from_exception,
    from_status,
)
from minios_steps.core.web.patience import Patience, Persistence
from minios_steps.core.web.url import check_url, host_of

if TYPE_CHECKING:
    import io
    from pathlib import Path

    from minios_steps.core.config.sources import HttpsMirror
    from minios_steps.core.sources.cache import SourceCache
    from minios_steps.core.sources.request import Request

_BLOCK = 64 << 10
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_ALLOW_HTTP = "write `insecure: true` beside the URL to allow it"


PATIENCE = Patience()


class NotThereError(SourceError):
    """The server is there, and the file is not."""


def obtain(
    mirror: HttpsMirror,
    request: Request,
    cache: SourceCache,
    *,
    patience: Patience = PATIENCE,
) -> Obtained:
    """Download the release into the cache's folder for unfinished downloads.

    What an earlier run left there is gone on with.

    Raises:
        NotThereError: the server has no such file.
        SourceError: it cannot be had; the part that came is kept for the next try.
        CancelledError: cancelled; the same.
        StorageError: the disk is full, or refuses to be written.
    """
    url = request.fill(mirror.url)
    return obtain_url(url, request, cache, insecure=mirror.insecure, patience=patience)


def obtain_url(
    url: str, request: Request, cache: SourceCache, *, insecure: bool, patience: Patience = PATIENCE
) -> Obtained:
    """Download what is at a URL; everything else as in `obtain`."""
    with requests.Session() as session:
        part = cache.partial(request.digest, url)
        return _Download(url, part, request, patience, session, insecure=insecure).run()


class _Download:
    """One URL into one file."""

    def __init__(
        self,
        url: str,
        part: Path,
        request: Request,
        patience: Patience,
        session: requests.Session,
        *,
        insecure: bool,
    ) -> None:
        self.url = url
        self.part = part
        self.validator_file = part.with_suffix(".validator")
        self.insecure = insecure
        self.request = request
        self.patience = patience
        self.session = session
        self.persistence = Persistence(patience, request.cancelled, self._tell)
        self.resumed = False

    def run(self) -> Obtained:
        """Try until the file is whole, or it makes no sense any more."""
        with writing(self.part):
            self.part.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.persistence.run(self._try)
        except MissingError as error:
            raise NotThereError(error.what) from error
        except WebError as error:
            raise SourceError(error.what, hint=error.hint, details=error.details) from error
        return Obtained(self.part, host_of(self.url), self.resumed)

    def _try(self) -> None:
        stop_if(self.request.cancelled)
        at = self._size()
        if at > self.request.max_bytes:
            at = 0
        try:
            with self._get(at) as response:
                self._receive(response, at)
        except (requests.exceptions.RequestException, HTTPError) as error:
            raise from_exception(error) from error

    def _get(self, at: int) -> requests.Response:
        """Send the request, and follow redirects that are allowed."""
        # Compressed on the way, the lengths and ranges would be of other bytes.
        headers = {"Accept-Encoding": "identity", "User-Agent": "minios"}
        if at:
            headers["Range"] = f"bytes={at}-"
            if validator := self._validator():
                headers["If-Range"] = validator
        url, before = self.url, ""
        for _ in range(_MAX_REDIRECTS + 1):
            check_url(url, insecure=self.insecure, before=before, hint=_ALLOW_HTTP)
            stop_if(self.request.cancelled)
            response = self.session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(self.patience.connect, self.patience.read),
            )
            if response.status_code not in _REDIRECTS:
                return response
            before, url = url, urljoin(url, response.headers.get("Location", ""))
            response.close()
        raise SourceError(f"more than {_MAX_REDIRECTS} redirects")

    def _receive(self, response: requests.Response, at: int) -> None:
        """Write the body behind what is there, or in its place."""
        headers = response.headers
        if at and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # A part that is already the whole file looks like this too.
            if headers.get("Content-Range", "") == f"bytes */{at}":
                self.resumed = True
                return
            self._forget()
            raise TransientError("its file has changed")
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
            if not match or int(match[1]) != at:
                self._forget()
                raise TransientError("it sent another range than was asked for")
            total = None if match[3] == "*" else int(match[3])
        elif response.status_code == HTTPStatus.OK:
            at = 0
            length = headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        else:
            raise from_status(response.status_code, headers)
        if total is not None and total > self.request.max_bytes:
            self._forget()
            raise SourceError(f"{total:,} bytes, more than the {self.request.max_bytes:,} allowed")
        self.resumed = at > 0
        if not at:
            self._remember_validator(headers.get("ETag", ""), headers.get("Last-Modified", ""))
        size = self._copy(response, at, total)
        if total is not None and size != total:
            raise TransientError(f"the download was cut off after {size:,} of {total:,} bytes")

    def _copy(self, response: requests.Response, at: int, total: int | None) -> int:
        """Write blocks as they come; returns the file's size."""
        size = at
        with writing(self.part):
            # A buffer would be written once more, and fail once more, when the file is closed.
            output = self.part.open("ab" if at else "wb", buffering=0)
        with output:
            while block := response.raw.read1(_BLOCK, decode_content=False):
                stop_if(self.request.cancelled)
                size += len(block)
                if size > self.request.max_bytes:
                    self._forget()
                    raise SourceError(f"it sent more than the {self.request.max_bytes:,} bytes allowed")
                if self.persistence.overdue:
                    raise SourceError(f"not done in {self.patience.total:.0f} seconds, at {size:,} bytes")
                self._append(output, block, total)
        return size

    def _append(self, output: io.FileIO, block: bytes, total: int | None) -> None:
        left = memoryview(block)
        try:
            with writing(self.part, needed=total):
                while left:
                    left = left[output.write(left) :]
        except StorageError:
            self._forget()
            raise

    def _size(self) -> int:
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def _forget(self) -> None:
        for path in (self.part, self.validator_file):
            with suppress(OSError):
                path.unlink()

    def _remember_validator(self, etag: str, modified: str) -> None:
        """Keep what tells one version of the server's file from another (RFC 9110, section 13.1.5)."""
        validator = etag if etag.startswith('"') else modified
        with writing(self.validator_file):
            self.validator_file.write_text(json.dumps(validator), encoding="utf-8")

    def _validator(self) -> str:
        """Empty when the server gave none: the digest then tells whether the parts fit."""
        try:
            found = json.loads(self.validator_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ""
        return found if isinstance(found, str) and found.isprintable() else ""

    def _tell(self, error: TransientError, wait: float) -> None:
        self.request.report(f"{host_of(self.url)}: {error.what}; trying again in {wait:.1f} s")
