"""One piece of work at a registry: tried again within bounds, and told in one line when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import requests
from urllib3.exceptions import HTTPError

from minios_steps.core.cancel import stop_if
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.wire import BusyError, RefusedError
from minios_steps.core.web.failures import TransientError, WebError, from_exception
from minios_steps.core.web.patience import Persistence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from minios_steps.core.registry.wire import Ask, Wire

T = TypeVar("T")
_BLOCK = 256 << 10


class Errand:
    """The work, and how long it may still take.

    Args:
        wire: the registry.
        what: what is done, where; errors start with it.
    """

    def __init__(self, wire: Wire, what: str) -> None:
        self.wire = wire
        self.what = what
        self._persistence = Persistence(wire.endpoint.patience, wire.cancelled, self._tell)

    def run(self, work: Callable[[], T]) -> T:
        """Call `work` until it is done.

        Raises:
            RegistryError: the registry refused, or failed too often.
            CancelledError: cancelled.
            ImageError: bytes have another digest than they must have.
        """
        try:
            return self._persistence.run(work)
        except WebError as error:
            told = error if isinstance(error, (RefusedError, BusyError)) else None
            raise RegistryError(
                f"{self.what}: {error.what}",
                code=told.code if told else "",
                status=told.status if told else 0,
                hint=error.hint,
                details=error.details,
            ) from error

    def attempt(self, ask: Ask) -> requests.Response:
        """Send a request, within `run`; see `Wire.attempt`."""
        self.check()
        return self.wire.attempt(ask)

    def check(self) -> None:
        """Stop here when the work was cancelled, or its time is over."""
        stop_if(self.wire.cancelled)
        if self._persistence.overdue:
            raise WebError(f"not done in {self._persistence.patience.total:.0f} seconds")

    def blocks(self, response: requests.Response) -> Iterator[bytes]:
        """A body as it comes, within `run`.

        Raises:
            TransientError: it was cut off.
        """
        try:
            while block := response.raw.read1(_BLOCK, decode_content=False):
                self.check()
                yield block
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            raise from_exception(error) from error

    def read(self, response: requests.Response, limit: int) -> bytes:
        """A whole body, within `run`; closes the answer.

        Raises:
            WebError: it is longer than `limit` bytes; `TransientError` when it was cut off.
        """
        found = bytearray()
        with response:
            length = response.headers.get("Content-Length", "")
            if length.isdigit() and int(length) > limit:
                raise WebError(f"{int(length):,} bytes, more than the {limit:,} allowed")
            for block in self.blocks(response):
                found += block
                if len(found) > limit:
                    raise WebError(f"it sent more than the {limit:,} bytes allowed")
        if length.isdigit() and int(length) != len(found):
            raise TransientError(f"the answer was cut off after {len(found):,} of {length} bytes")
        return bytes(found)

    def _tell(self, error: TransientError, wait: float) -> None:
        self.wire.report(f"{self.what}: {error.what}; trying again in {wait:.1f} s")
