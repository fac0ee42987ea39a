from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from mirrorbed import cut_off, endless, serving, status, whole

from minios_steps.core.cancel import CancelledError
from minios_steps.core.config.sources import Sources
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import debian, file
from minios_steps.core.sources.cache import SourceCache
from minios_steps.core.sources.fetch import FetchResult, fetch
from minios_steps.core.sources.request import Obtained, Request
from minios_steps.core.sources.storage import StorageError
from minios_steps.core.version import Version
from minios_steps.core.web import patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirrorbed import Handler

BODY = b"a release " * 1000
DIGEST = Digest.of(BODY)
VERSION = Version.parse("1.38.0")


class Fetcher:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = SourceCache(root / "cache")
        self.lines: list[str] = []
        self.good = {"kind": "file", "path": "good.tar.bz2"}
        self.wrong = {"kind": "file", "path": "wrong.tar.bz2"}
        (root / "good.tar.bz2").write_bytes(BODY)
        (root / "wrong.tar.bz2").write_bytes(b"something else")

    def __call__(
        self, *mirrors: dict[str, Any], cancelled: Callable[[], bool] = lambda: False
    ) -> FetchResult:
        told = {
            "releases": {"1.38.0": {"sha256": DIGEST.hex, "epoch": 1}},
            "mirrors": mirrors,
            "max_bytes": 1 << 20,
        }
        return fetch(
            VERSION,
            Sources.model_validate(told),
            cache=self.cache,
            config_root=self.root,
            report=self.lines.append,
            cancelled=cancelled,
        )

    @property
    def left(self) -> list[Path]:
        """Everything the cache keeps but locks."""
        return [p for p in self.cache.root.rglob("*") if p.is_file() and p.parent.name != "locks"]


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path)


def web(url: str) -> dict[str, Any]:
    return {"kind": "https", "url": url, "insecure": True}


def test_the_first_good_mirror_gives_it(fetcher: Fetcher) -> None:
    got = fetcher(fetcher.good, fetcher.wrong)
    assert got == FetchResult(fetcher.cache.path(DIGEST), DIGEST, str(fetcher.root / "good.tar.bz2"), ())
    assert got.path.read_bytes() == BODY


def test_the_second_time_it_is_in_the_cache(fetcher: Fetcher) -> None:
    first = fetcher(fetcher.good)
    second = fetcher({"kind": "file", "path": "gone"})
    assert second == FetchResult(first.path, DIGEST, "cache", ())


def test_a_damaged_cache_is_fetched_again(fetcher: Fetcher) -> None:
    fetcher(fetcher.good).path.write_bytes(b"rotten")
    got = fetcher(fetcher.good)
    assert got.mirror != "cache"
    assert got.path.read_bytes() == BODY
    assert "the cached BusyBox 1.38.0 was damaged, and is removed" in fetcher.lines


def test_a_wrong_sha256_is_told_not_kept_and_the_next_mirror_tried(fetcher: Fetcher) -> None:
    with serving(whole(b"something else")) as server:
        got = fetcher(web(server.url()), fetcher.good)
    (attempt,) = got.attempts
    assert attempt.startswith("127.0.0.1:")
    assert f"wrong sha256: expected {DIGEST.hex}, found {Digest.of(b'something else').hex}" in attempt
    assert attempt in fetcher.lines
    assert fetcher.left == [got.path]


def test_a_mirrors_own_file_is_never_deleted(fetcher: Fetcher) -> None:
    fetcher(fetcher.wrong, fetcher.good)
    assert (fetcher.root / "wrong.tar.bz2").exists()
    assert (fetcher.root / "good.tar.bz2").exists()


def test_when_all_fail_the_first_line_says_what_and_why(fetcher: Fetcher) -> None:
    with serving(status(404)) as server, pytest.raises(SourceError) as caught:
        fetcher(web(server.url()), fetcher.wrong, {"kind": "file", "path": "gone/"})
    error = caught.value
    assert error.what.startswith("BusyBox 1.38.0 cannot be fetched: 127.0.0.1:")
    assert "HTTP 404 Not Found; wrong.tar.bz2: wrong sha256" in error.what
    assert "\n" not in error.what
    assert error.hint
    assert [line.partition(": ")[0] for line in error.details.splitlines()][1:] == [
        "wrong.tar.bz2",
        "gone/busybox-1.38.0.tar.bz2",
    ]
    assert fetcher.left == []


def test_parts_that_do_not_fit_together_are_fetched_afresh(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "pause", lambda *_: None)
    # The server's file changed between two tries, and it says nothing to tell them apart.
    with serving(cut_off(b"old" * 5000, 3000), whole(BODY)) as server:
        got = fetcher(web(server.url()))
        assert len(server.seen) == 3
        assert "Range" not in server.seen[2]
    assert got.path.read_bytes() == BODY
    assert fetcher.left == [got.path]


def test_a_version_that_is_not_pinned_is_refused(fetcher: Fetcher) -> None:
    sources = Sources.model_validate(
        {"releases": {"1.38.0": {"sha256": DIGEST.hex, "epoch": 1}}, "mirrors": [fetcher.good]}
    )
    with pytest.raises(SourceError, match=r"BusyBox 1\.2\.3 is not pinned"):
        fetch(
            Version.parse("1.2.3"),
            sources,
            cache=fetcher.cache,
            config_root=fetcher.root,
            report=print,
            cancelled=lambda: False,
        )


def test_two_who_want_one_release_download_once(fetcher: Fetcher) -> None:
    asked, second_waits = threading.Event(), threading.Event()

    def behave(handler: Handler) -> None:
        asked.set()
        assert second_waits.wait(10)
        whole(BODY)(handler)

    def waiting() -> bool:
        # Asked for the first time when the lock is not to be had.
        second_waits.set()
        return False

    with serving(behave) as server, ThreadPoolExecutor() as pool:
        first = pool.submit(fetcher, web(server.url()))
        assert asked.wait(10)
        second = pool.submit(fetcher, web(server.url()), cancelled=waiting)
        assert first.result(10).mirror.startswith("127.0.0.1")
        assert second.result(10).mirror == "cache"
        assert len(server.seen) == 1


def test_cancelling_ends_it_without_trying_further_mirrors(fetcher: Fetcher) -> None:
    with serving(endless) as server, pytest.raises(CancelledError):
        fetcher(web(server.url()), fetcher.good, cancelled=lambda: bool(server.seen))
    assert not fetcher.cache.path(DIGEST).exists()
    assert fetcher(fetcher.good).path.read_bytes() == BODY


def test_a_full_disk_ends_it_without_trying_further_mirrors(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def full(*_: Any) -> Obtained:
        tried.append(1)
        raise StorageError("the disk is full")

    monkeypatch.setattr(file, "obtain", full)
    with pytest.raises(StorageError):
        fetcher(fetcher.good, fetcher.good)
    assert len(tried) == 1


def test_a_debian_mirror_works_in_a_folder_that_is_gone_afterwards(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obtain(mirror: Any, request: Request, folder: Path) -> Obtained:
        path = folder / "busybox_1.38.0.orig.tar.bz2"
        path.write_bytes(BODY)
        return Obtained(path, f"Debian source package {mirror.package} {request.version} (sid)")

    monkeypatch.setattr(debian, "obtain", obtain)
    got = fetcher({"kind": "debian-source", "package": "busybox", "suites": ("sid",)})
    assert got.mirror == "Debian source package busybox 1.38.0 (sid)"
    assert fetcher.left == [got.path]
