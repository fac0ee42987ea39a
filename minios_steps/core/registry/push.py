"""Uploading one blob (distribution-spec, "Pushing blobs"): mounted, or sent whole or in chunks."""

from __future__ import annotations

import dataclasses
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode, urljoin

from minios_steps.core.registry.checks import check_digest
from minios_steps.core.registry.wire import Ask, RefusedError
from minios_steps.core.web.failures import TransientError, WebError

if TYPE_CHECKING:
    import requests

    from minios_steps.core.registry.errand import Errand
    from minios_steps.core.registry.payload import Payload

Way = Literal["there", "mounted", "sent"]
"""How a blob came to be in a repository: it already was, or without or with its bytes."""

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,15})", re.ASCII)
NO_MOUNT = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
)
"""The repository to mount from may be hidden from this user, or the registry cannot mount."""
_OCTETS = {"Content-Type": "application/octet-stream"}


class Push:
    """The upload of one blob; what came through before a failure is not sent again where possible.

    Args:
        errand: the piece of work this is.
        payload: the bytes.
        base: the URL of the repository's blobs, with a slash at the end.
        scope: what a token must allow.
        mount_from: a repository of the same registry that may have the blob; empty for none.
        mount_scope: what a token must allow for that one.
    """

    def __init__(
        self,
        errand: Errand,
        payload: Payload,
        base: str,
        scope: str,
        *,
        mount_from: str = "",
        mount_scope: str = "",
    ) -> None:
        self.errand = errand
        self.payload = payload
        self.base = base
        self.scopes = (scope,)
        self.mount_from = mount_from
        self.mount_scopes = (scope, mount_scope)
        self.chunk = errand.wire.endpoint.chunk
        self._location = ""
        self._offset = 0
        self._interrupted = False
        self._lost = 0

    def attempt(self) -> Way:
        """Do it, or what an earlier attempt left to do; to be called by `Errand.run`."""
        if self._interrupted and self._location:
            self._ask_where()
        began = self._interrupted
        self._interrupted = True
        if not self._location:
            # After a lost answer the blob may be there.
            if self._is_there():
                return "sent" if began else "there"
            if self._begin():
                return "mounted"
        if self._offset or self.payload.size > self.chunk:
            while self._offset < self.payload.size:
                self._send_chunk()
        self._finish()
        return "sent"

    def _is_there(self) -> bool:
        url = f"{self.base}{self.payload.digest}"
        good = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        with self.errand.attempt(Ask("HEAD", url, self.scopes, good)) as response:
            if response.status_code == HTTPStatus.NOT_FOUND:
                return False
            check_digest(response, self.payload.digest, self.errand.what)
            return True

    def _begin(self) -> bool:
        """Open an upload; whether the blob was mounted, so that none is needed."""
        url = f"{self.base}uploads/"
        if self.mount_from:
            query = urlencode({"mount": str(self.payload.digest), "from": self.mount_from})
            self.mount_from = ""
            ask = self._ask("POST", f"{url}?{query}", HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
            try:
                with self.errand.attempt(dataclasses.replace(ask, scopes=self.mount_scopes)) as response:
                    if response.status_code == HTTPStatus.CREATED:
                        check_digest(response, self.payload.digest, self.errand.what)
                        return True
                    self._go_on_at(response, 0)
                    return False
            except RefusedError as error:
                if error.status not in NO_MOUNT:
                    raise
        with self.errand.attempt(self._ask("POST", url, HTTPStatus.ACCEPTED)) as response:
            self._go_on_at(response, 0)
            smallest = response.headers.get("OCI-Chunk-Min-Length", "")
            self.chunk = max(self.chunk, int(smallest) if smallest.isdigit() else 0)
        return False

    def _send_chunk(self) -> None:
        start, size = self._offset, min(self.chunk, self.payload.size - self._offset)
        headers = {**_OCTETS, "Content-Range": f"{start}-{start + size - 1}"}
        ask = Ask(
            "PATCH",
            self._location,
            self.scopes,
            (HTTPStatus.ACCEPTED,),
            headers,
            lambda: self.payload.part(start, size),
        )
        with self._going_on(ask) as response:
            self._go_on_at(response, start + size)
            if (kept := _kept(response)) is not None and kept != start + size:
                raise TransientError(f"it kept {kept:,} of {start + size:,} bytes")

    def _finish(self) -> None:
        """Close the upload; the bytes go along when none were sent before."""
        digest = self.payload.digest
        url = f"{self._location}{'&' if '?' in self._location else '?'}{urlencode({'digest': str(digest)})}"
        rest = self.payload.size - self._offset
        ask = Ask(
            "PUT",
            url,
            self.scopes,
            (HTTPStatus.CREATED, HTTPStatus.NO_CONTENT),
            _OCTETS,
            lambda: self.payload.part(self._offset, rest),
        )
        with self._going_on(ask) as response:
            told = check_digest(response, digest, self.errand.what)
        if not told and not self._is_there():
            raise WebError("the registry took the blob, but does not have it")

    def _going_on(self, ask: Ask) -> requests.Response:
        """Send a part; an upload that the registry forgot is begun again, once."""
        try:
            return self.errand.attempt(ask)
        except RefusedError as error:
            lost = error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            if self._lost or not (lost or error.code == "BLOB_UPLOAD_UNKNOWN"):
                raise
            self._lost += 1
            raise TransientError(f"it lost track of the upload: {error.what}") from error

    def _ask_where(self) -> None:
        """After a failure: how much the registry has, or a new beginning."""
        try:
            with self.errand.attempt(self._ask("GET", self._location, HTTPStatus.NO_CONTENT)) as response:
                kept = _kept(response)
                # More than was ever read cannot be ours.
                if kept is not None and kept <= self.payload.hashed:
                    self._go_on_at(response, kept)
                    return
        except RefusedError:
            pass
        self._location, self._offset = "", 0

    def _go_on_at(self, response: requests.Response, offset: int) -> None:
        """Note where the next part goes; the address may be relative, and is another each time."""
        location = response.headers.get("Location", "")
        if not location:
            raise WebError("the registry did not say where to upload to")
        self._location, self._offset = urljoin(response.url, location), offset

    def _ask(self, method: str, url: str, *good: HTTPStatus) -> Ask:
        # A POST without a length is refused by some.
        body = (lambda: b"") if method == "POST" else None
        headers = {"Content-Length": "0"} if method == "POST" else {}
        return Ask(method, url, self.scopes, good, headers, body)


def _kept(response: requests.Response) -> int | None:
    """How many bytes an upload has, by its `Range`; `0-0` is what registries say of none."""
    match = _RANGE.fullmatch(response.headers.get("Range", ""))
    return None if match is None else int(match[1]) + 1 if int(match[1]) else 0
