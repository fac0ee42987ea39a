"""Lists of a registry: tags, and what refers to a manifest (distribution-spec, "Content Discovery")."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.model import MANIFEST_LIMIT, decode
from minios_steps.core.oci.referrers import read_referrers
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.wire import Ask
from minios_steps.core.web.failures import WebError
from minios_steps.core.web.url import origin_of

if TYPE_CHECKING:
    from minios_steps.core.oci.store import Referrer
    from minios_steps.core.registry.errand import Errand

_PAGE = 1000
_MAX_PAGES = 1000
_NEXT = re.compile(r'<([^<>]*)>\s*;[^<]*\brel\s*=\s*"?next"?', re.IGNORECASE)


def tags(errand: Errand, url: str, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Every tag of a repository, sorted; none when the registry knows no such repository."""
    found: set[str] = set()
    for page in _pages(errand, f"{url}?n={_PAGE}", scopes) or ():
        listed = decode(page, errand.what).get("tags") or []
        if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
            raise ImageError(f"{errand.what}: not a list of tags")
        found.update(listed)
    return tuple(sorted(found))


def referrers(errand: Errand, url: str, scopes: tuple[str, ...]) -> tuple[Referrer, ...] | None:
    """The registry's own list of referrers; None when it keeps none."""
    pages = _pages(errand, url, scopes)
    if pages is None:
        return None
    return tuple(referrer for page in pages for referrer in read_referrers(page, errand.what))


def _pages(errand: Errand, url: str, scopes: tuple[str, ...]) -> list[bytes] | None:
    """The pages of a list, in order; None when the first is not there."""

    def get(asked: str) -> tuple[bytes, str] | None:
        good = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        response = errand.attempt(
            Ask("GET", asked, scopes, good, {"Accept": f"application/json, {media.INDEX}"})
        )
        if response.status_code == HTTPStatus.NOT_FOUND:
            response.close()
            return None
        following = ""
        if match := _NEXT.search(response.headers.get("Link", "")):
            following = urljoin(asked, match[1])
            if origin_of(following) != origin_of(asked):
                raise WebError("the next page of the list is on another server")
        return errand.read(response, MANIFEST_LIMIT), following

    found: list[bytes] = []
    seen: set[str] = set()
    while url and url not in seen:
        if len(seen) == _MAX_PAGES:
            raise RegistryError(f"{errand.what}: more than {_MAX_PAGES} pages")
        seen.add(url)
        asked = url
        page = errand.run(lambda: get(asked))  # noqa: B023  # called at once
        if page is None:
            return found or None
        found.append(page[0])
        url = page[1]
    return found
