"""Reading a blob as it comes: hashed on the way, gone on with where a connection broke."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError
from minios_steps.core.registry.checks import check_digest
from minios_steps.core.registry.wire import Ask
from minios_steps.core.web.failures import TransientError, WebError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from minios_steps.core.digest import Digest
    from minios_steps.core.registry.errand import Errand

_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)


def pull_blob(
    errand: Errand, url: str, scopes: tuple[str, ...], digest: Digest, limit: int
) -> Iterator[bytes]:
    """The blob in blocks; the last one is given only when the digest of all is right.

    Raises:
        RegistryError: it cannot be had.
        ImageError: it is longer than `limit` bytes, or has another digest.
        CancelledError: cancelled.
    """
    pull = _Pull(errand, url, scopes, digest, limit)
    held = b""
    try:
        while block := errand.run(pull.next):
            if held:
                yield held
            held = block
        pull.verify()
        if held:
            yield held
    finally:
        pull.close()


class _Pull:
    def __init__(self, errand: Errand, url: str, scopes: tuple[str, ...], digest: Digest, limit: int) -> None:
        self.errand = errand
        self.url = url
        self.scopes = scopes
        self.digest = digest
        self.limit = limit
        self._state = hashlib.sha256()
        self._at = 0
        self._skip = 0
        self._total: int | None = None
        self._response: requests.Response | None = None
        self._blocks: Iterator[bytes] = iter(())

    def next(self) -> bytes:
        """The next block; empty at the end."""
        if self._response is None:
            self._connect()
        try:
            block = self._fresh_block()
            if not block and self._total is not None and self._at < self._total:
                raise TransientError(f"cut off after {self._at:,} of {self._total:,} bytes")
        except WebError:
            self.close()
            raise
        self._at += len(block)
        self._check_limit(self._at)
        self._state.update(block)
        return block

    def verify(self) -> None:
        """Raise `ImageError` when what came has another digest."""
        if (found := self._state.hexdigest()) != self.digest.hex:
            raise ImageError(f"{self.errand.what}: its {self._at:,} bytes have the digest sha256:{found}")

    def close(self) -> None:
        """Leave the connection."""
        if self._response is not None:
            self._response.close()
        self._response = None

    def _fresh_block(self) -> bytes:
        """The next block of what has not come before."""
        for block in self._blocks:
            if self._skip < len(block):
                fresh, self._skip = block[self._skip :], 0
                return fresh
            self._skip -= len(block)
        return b""

    def _connect(self) -> None:
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        good = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
        response = self.errand.attempt(Ask("GET", self.url, self.scopes, good, headers))
        self._response = response
        check_digest(response, self.digest, self.errand.what)
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if not match or int(match[1]) != self._at:
                raise WebError("it sent another range than was asked for")
            self._skip, self._total = 0, None if match[3] == "*" else int(match[3])
        else:
            length = response.headers.get("Content-Length", "")
            self._skip, self._total = self._at, int(length) if length.isdigit() else None
        self._check_limit(self._total or 0)
        self._blocks = self.errand.blocks(response)

    def _check_limit(self, size: int) -> None:
        if size > self.limit:
            raise ImageError(f"{self.errand.what}: larger than the {self.limit:,} bytes allowed")
