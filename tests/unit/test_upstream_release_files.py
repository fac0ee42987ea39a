from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest
from upstreambed import IMPATIENT, MadeUpKey, Upstream, made_up_key, small_release, upstream

from minios_steps.core.cancel import CancelledError
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.upstream.release_files import (
    BadReleaseError,
    Client,
    NotYetError,
    newest_time,
    parse_checksum,
)
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = Version.parse("1.38.0")
TARBALL = small_release("1.38.0", mtime=1_700_000_001)
NAME = "busybox-1.38.0.tar.bz2"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeUpKey]:
    with made_up_key(tmp_path_factory.mktemp("keys") / "one") as made:
        yield made


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture
def client(key: MadeUpKey, tmp_path: Path) -> Client:
    return Client(
        SourceCache(tmp_path / "cache"), [key.pinned(tmp_path)], 1 << 20, IMPATIENT, print, lambda: False
    )


def cached(client: Client) -> list[str]:
    folder = client.cache.root / "sha256"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def partials(client: Client) -> list[Path]:
    folder = client.cache.root / "partial"
    return list(folder.iterdir()) if folder.exists() else []


def test_good(client: Client, server: Upstream, key: MadeUpKey) -> None:
    server.publish("1.38.0", TARBALL, key.sign(TARBALL))
    found = client.verify(VERSION, server.url, insecure=True)
    assert found.sha256 == Digest.of(TARBALL).hex
    assert found.fingerprint == key.fingerprint
    assert found.url == f"{server.url}{NAME}"
    assert found.epoch == 1_700_000_001
    assert found.tarball.read_bytes() == TARBALL
    assert partials(client) == []
    # What is in the cache is not fetched again, but verified again.
    server.asked.clear()
    assert client.verify(VERSION, server.url, insecure=True) == found
    assert server.asked == [f"{NAME}.sha256", f"{NAME}.sig"]


@pytest.mark.parametrize(
    ("missing", "unsigned"),
    [("", False), (".sha256", False), (".sig", True)],
    ids=["tarball", "sha256", "sig"],
)
def test_not_whole_yet(
    client: Client, server: Upstream, key: MadeUpKey, missing: str, *, unsigned: bool
) -> None:
    server.publish("1.38.0", TARBALL, key.sign(TARBALL))
    kept = server.files.pop(f"{NAME}{missing}")
    with pytest.raises(NotYetError, match=rf"{NAME}{missing} is not there yet") as caught:
        client.verify(VERSION, server.url, insecure=True)
    assert caught.value.unsigned is unsigned
    assert cached(client) == partials(client) == []
    server.files[f"{NAME}{missing}"] = kept
    assert client.verify(VERSION, server.url, insecure=True).version == VERSION


def test_wrong_checksum(client: Client, server: Upstream, key: MadeUpKey) -> None:
    server.publish("1.38.0", TARBALL, key.sign(TARBALL), sha256="0" * 64)
    with pytest.raises(BadReleaseError, match="wrong sha256: expected 000"):
        client.verify(VERSION, server.url, insecure=True)
    assert cached(client) == partials(client) == []


def test_bad_signature(client: Client, server: Upstream, key: MadeUpKey) -> None:
    server.publish("1.38.0", TARBALL, key.sign(b"something else"))
    with pytest.raises(BadReleaseError, match="the signature is not of this file"):
        client.verify(VERSION, server.url, insecure=True)


def test_signed_by_somebody_else(client: Client, server: Upstream, tmp_path: Path) -> None:
    with made_up_key(tmp_path / "other") as other:
        server.publish("1.38.0", TARBALL, other.sign(TARBALL))
        with pytest.raises(BadReleaseError, match="not of a pinned key"):
            client.verify(VERSION, server.url, insecure=True)


def test_signed_nonsense(client: Client, server: Upstream, key: MadeUpKey) -> None:
    server.publish("1.38.0", b"no tarball", key.sign(b"no tarball"))
    with pytest.raises(BadReleaseError, match="the tarball cannot be read"):
        client.verify(VERSION, server.url, insecure=True)


def test_server_down(client: Client, server: Upstream) -> None:
    server.down = True
    with pytest.raises(SourceError, match="HTTP 503") as caught:
        client.verify(VERSION, server.url, insecure=True)
    assert not isinstance(caught.value, (NotYetError, BadReleaseError))


def test_plain_http_is_asked_for(client: Client, server: Upstream) -> None:
    with pytest.raises(SourceError, match="http is not allowed"):
        client.verify(VERSION, server.url, insecure=False)
    assert server.asked == []


def test_too_large(client: Client, server: Upstream, key: MadeUpKey) -> None:
    large = b"x" * ((1 << 20) + 1)
    server.publish("1.38.0", large, key.sign(large))
    with pytest.raises(SourceError, match="more than the 1,048,576 allowed"):
        client.verify(VERSION, server.url, insecure=True)


def test_endless_signature(client: Client, server: Upstream) -> None:
    server.publish("1.38.0", TARBALL, b"x" * (1 << 17))
    with pytest.raises(SourceError, match="more than the 65,536 allowed"):
        client.verify(VERSION, server.url, insecure=True)


def test_cancelled(server: Upstream, client: Client) -> None:
    stopped = Client(client.cache, client.keys, 1, IMPATIENT, print, lambda: True)
    with pytest.raises(CancelledError):
        stopped.verify(VERSION, server.url, insecure=True)


HEX = "ab" * 32


@pytest.mark.parametrize(
    "text", [HEX, f"{HEX}  {NAME}\n", f"{HEX.upper()} *{NAME}\n\n", f"{HEX}  ./dist/{NAME}\n{HEX}  {NAME}\n"]
)
def test_checksum(text: str) -> None:
    assert parse_checksum(text.encode(), NAME) == Digest(HEX)


@pytest.mark.parametrize(
    "text",
    ["", "x", HEX[1:], f"{HEX}  another.tar.bz2", f"{HEX}\n{'0' * 64}", f"{HEX} {NAME} more", "\xff\0"],
)
def test_no_checksum(text: str) -> None:
    with pytest.raises(BadReleaseError, match=r"does not give one sha256 of busybox-1\.38\.0\.tar\.bz2"):
        parse_checksum(text.encode("latin-1"), NAME)


def test_old_release_under_a_new_name(client: Client, server: Upstream, key: MadeUpKey) -> None:
    old = small_release("1.2.3")
    server.publish("1.38.0", old, key.sign(old))
    with pytest.raises(BadReleaseError, match=r"not of busybox-1\.38\.0: it holds 'busybox-1\.2\.3/README'"):
        client.verify(VERSION, server.url, insecure=True)


def test_empty_tarball(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty", "w"):
        pass
    with pytest.raises(BadReleaseError, match="the tarball is empty"):
        newest_time(tmp_path / "empty", VERSION)
