"""The releases that a download page lists.

Apache, nginx, lighttpd and hand-written pages have one thing in common, and only that is read:
links. Everything that is not exactly the name of a release's file in that same folder is passed
over: snapshots, other suffixes, column headings, folders of old releases.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from minios_steps.core.errors import ConfigError
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKSUM = ".sha256"
"""What is behind a tarball's name in the name of its checksum."""
SIGNATURE = ".sig"
"""What is behind a tarball's name in the name of its detached signature."""

_FILE = re.compile(r"busybox-([0-9.]+)\.tar\.bz2(\.sha256|\.sig)?", re.ASCII)
# Whoever serves the page may have written anything: html.parser raises on some of it, and takes hours
# for other.
_LINK = re.compile(
    r"""<a\s(?:[^<>]*?\s)?href\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)'|([^\s"'<>]+))""", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True)
class Listed:
    """A release's files, as far as a page lists them."""

    tarball: bool = False
    checksum: bool = False
    signature: bool = False


def tarball_name(version: Version) -> str:
    """What upstream calls a release's tarball."""
    return f"busybox-{version}.tar.bz2"


def parse_listing(text: str, url: str) -> Mapping[Version, Listed]:
    """Read a page.

    Args:
        text: HTML of any quality.
        url: where the page is; its links are relative to it, its folder is the one that counts.

    Returns:
        Every release of which it lists a file, the oldest first.
    """
    found: dict[Version, set[str]] = {}
    for link in _LINK.finditer(text):
        name = _name_in_folder(html.unescape(link[1] or link[2] or link[3] or ""), url)
        match = _FILE.fullmatch(name)
        if match:
            try:
                version = Version.parse(match[1])
            except ConfigError:
                # Long ago releases had two or four numbers.
                continue
            found.setdefault(version, set()).add(match[2] or "")
    return MappingProxyType(
        {
            version: Listed("" in files, CHECKSUM in files, SIGNATURE in files)
            for version, files in sorted(found.items())
        }
    )


def _name_in_folder(link: str, url: str) -> str:
    """The name of a file that is in the page's own folder; empty for any other link."""
    try:
        here, there = urlsplit(urljoin(url, ".")), urlsplit(urljoin(url, link))
    except ValueError:
        return ""
    if (here.netloc, there.query) != (there.netloc, "") or not there.path.startswith(here.path):
        return ""
    return unquote(there.path[len(here.path) :])
