from __future__ import annotations

import pytest

from minios_steps.core.upstream.listing import Listed, parse_listing, tarball_name
from minios_steps.core.upstream.news import is_stable, news
from minios_steps.core.version import Version

URL = "https://example.org/downloads/"
ALL = Listed(tarball=True, checksum=True, signature=True)


def versions(*texts: str) -> tuple[Version, ...]:
    return tuple(Version.parse(text) for text in texts)


def listed(text: str, url: str = URL) -> dict[str, Listed]:
    return {str(version): what for version, what in parse_listing(text, url).items()}


APACHE = """
<table><tr><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td><a href="/">Parent Directory</a></td></tr>
<tr><td><a href="busybox-1.9.0.tar.bz2">busybox-1.9.0.tar.bz2</a></td><td>2.1M</td></tr>
<tr><td><a href="busybox-1.10.0.tar.bz2">busybox-1.10.0.tar.bz2</a></td></tr>
<tr><td><a href="busybox-1.10.0.tar.bz2.sha256">x</a></td></tr>
<tr><td><a href="busybox-1.10.0.tar.bz2.sig">x</a></td></tr>
</table>"""

NGINX = """<html><head><title>Index of /downloads/</title></head><body><h1>Index of /downloads/</h1><pre>
<a href="../">../</a>
<a href="busybox-1.9.0.tar.bz2">busybox-1.9.0.tar.bz2</a>   19-Dec-2007 12:00   2M
<a href="busybox-1.10.0.tar.bz2">busybox-1.10.0.tar.bz2</a>
<a href="busybox-1.10.0.tar.bz2.sha256">busybox-1.10.0.tar.bz2.sha25..&gt;</a>
<a href="busybox-1.10.0.tar.bz2.sig">b</a></pre></body></html>"""

BY_HAND = """<ul><li><A HREF='/downloads/busybox-1.9.0.tar.bz2'>1.9.0</A>
<li><a class=x href="https://example.org/downloads/busybox-1.10.0.tar.bz2">1.10.0
<li><a href=busybox-1%2E10.0.tar.bz2.sha256>sum<a href="./busybox-1.10.0.tar.bz2.sig">sig</ul"""


@pytest.mark.parametrize("text", [APACHE, NGINX, BY_HAND], ids=["apache", "nginx", "by hand"])
def test_pages(text: str) -> None:
    found = listed(text)
    assert found == {"1.9.0": Listed(tarball=True), "1.10.0": ALL}
    # Oldest first, as numbers.
    assert list(found) == ["1.9.0", "1.10.0"]


@pytest.mark.parametrize(
    "link",
    [
        "busybox-snapshot.tar.bz2",
        "snapshots/busybox-20261124.tar.bz2",
        "busybox-1.38.tar.bz2",
        "busybox-1.38.0.1.tar.bz2",
        "busybox-01.38.0.tar.bz2",
        "busybox-1.38.0-rc1.tar.bz2",
        "busybox-1.38.0.tar.gz",
        "busybox-1.38.0.tar.bz2.md5",
        "busybox-1.38.0.tar.bz2.sign",
        "busybox-1.38.0.tar.bz2?x",
        "OLD/busybox-1.38.0.tar.bz2",
        "../busybox-1.38.0.tar.bz2",
        "https://elsewhere.example/downloads/busybox-1.38.0.tar.bz2",
        "http://[broken/busybox-1.38.0.tar.bz2",
        "mailto:busybox@example.org",
        "xbusybox-1.38.0.tar.bz2",
        "busybox-1.38.\u0660.tar.bz2",
        f"busybox-1.38.{'9' * 5000}.tar.bz2",
        "",
    ],
)
def test_garbage(link: str) -> None:
    assert listed(f'<a href="{link}">busybox-1.38.0.tar.bz2</a>') == {}


@pytest.mark.parametrize("text", ["", "\0\xff", "<a", "<a href>", "<!-- <a href=", "busybox-1.38.0.tar.bz2"])
def test_no_page_at_all(text: str) -> None:
    assert listed(text) == {}


@pytest.mark.parametrize(
    "hostile",
    ["<![foo[x]]>", "<!-- " * 100_000, "<a " * 100_000, '<a href="' * 100_000, "<a href " * 100_000],
    ids=["no such section", "comments", "links", "quotes", "names"],
)
def test_hostile_page_hides_nothing(hostile: str) -> None:
    assert list(listed(f'{hostile}\n<a href="busybox-1.38.0.tar.bz2">x</a>')) == ["1.38.0"]


def test_other_attributes_are_no_links() -> None:
    text = '<a data-href="busybox-1.9.0.tar.bz2" href="busybox-1.10.0.tar.bz2&#46;sig">x</a><abbr href="a">'
    assert listed(text) == {"1.10.0": Listed(signature=True)}


def test_folder_of_the_page_counts() -> None:
    link = '<a href="busybox-1.38.0.tar.bz2">x</a>'
    assert list(listed(link, "https://example.org/a/index.html")) == ["1.38.0"]


def test_names() -> None:
    assert tarball_name(Version.parse("1.38.0")) == "busybox-1.38.0.tar.bz2"


@pytest.mark.parametrize(("version", "stable"), [("1.37.0", False), ("1.36.1", True), ("1.35.12", True)])
def test_first_of_a_line_is_unstable(version: str, *, stable: bool) -> None:
    assert is_stable(Version.parse(version)) is stable


@pytest.mark.parametrize(
    ("there", "pinned", "expected"),
    [
        (["1.35.0", "1.37.0"], ["1.35.0"], [["1.37.0"]]),
        (["1.9.0", "1.10.0"], ["1.9.0"], [["1.10.0"]]),
        # Of a line the newest first, and no line that is older than what is pinned.
        (["1.36.0", "1.36.1", "1.38.0", "1.34.1"], ["1.35.0"], [["1.36.1", "1.36.0"], ["1.38.0"]]),
        # A line that is pinned gets its next release, though another line is newer.
        (["1.37.0", "1.37.1", "1.38.0"], ["1.37.0", "1.38.0"], [["1.37.1"]]),
        (["1.36.1"], ["1.35.0", "1.37.0"], []),
        (["1.38.0"], ["1.38.0"], []),
        ([], ["1.38.0"], []),
        (["2.0.0"], ["1.38.0"], [["2.0.0"]]),
    ],
)
def test_news(there: list[str], pinned: list[str], expected: list[list[str]]) -> None:
    assert news(versions(*there), versions(*pinned)) == tuple(versions(*line) for line in expected)


def test_only_stable_news() -> None:
    there = versions("1.38.0", "1.39.0", "1.39.1", "1.40.0")
    assert news(there, versions("1.37.0"), stable_only=True) == (versions("1.39.1"),)
