"""Places that disagree, hide something, share a name, or are asked by a clock that is wrong."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from upstreambed import MadeUpKey, Upstream, made_up_key, upstream
from watchbed import Watcher, publish

from minios_steps.core.upstream.memory import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

YEARS = 10 * 365 * 24 * 3600.0


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeUpKey]:
    with made_up_key(tmp_path_factory.mktemp("keys") / "one") as made:
        yield made


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture
def mirror() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


def test_bad_newest_does_not_hide_the_good_one_before_it(
    tmp_path: Path, key: MadeUpKey, server: Upstream, mirror: Upstream
) -> None:
    watcher = Watcher(tmp_path, key, server, mirror)
    publish(server, key, "1.37.1")
    publish(mirror, key, "1.37.2")
    mirror.files["busybox-1.37.2.tar.bz2.sig"] = key.sign(b"else")
    # Nothing is there of it but a name.
    mirror.files["busybox-1.37.99.tar.bz2.sha256"] = b""
    found = watcher.look()
    assert [str(release.version) for release in found.good] == ["1.37.1"]
    assert {str(bad.version) for bad in found.bad} == {"1.37.2"}
    assert watcher.look().good == ()
    publish(mirror, key, "1.37.2")
    assert watcher.good(after=LONGEST) == ["1.37.2"]
    assert watcher.look().good == ()


def test_repositories_with_one_web_folder_are_two_places(
    tmp_path: Path, key: MadeUpKey, server: Upstream
) -> None:
    there = tmp_path / "there"
    for words in (
        ("init", "-q", str(there)),
        (
            "-C",
            str(there),
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@e",
            "commit",
            "--allow-empty",
            "-qm",
            "x",
        ),
        ("-C", str(there), "tag", "1_37_0"),
    ):
        subprocess.run(("git", *words), check=True)
    watch = [
        {"kind": "git", "repository": str(path), "downloads": server.url, "insecure": True}
        for path in (tmp_path / "gone", there)
    ]
    publish(server, key, "1.37.0")
    watcher = Watcher(tmp_path, key, watch=watch)
    assert watcher.good() == ["1.37.0"]
    [failed] = watcher.memory.places
    assert failed.endswith(f"by tags of {tmp_path}/gone")


def test_password_of_a_repository_is_not_in_its_name(tmp_path: Path, key: MadeUpKey) -> None:
    place = {
        "kind": "git",
        "repository": "https://me:hidden@127.0.0.1:1/busybox.git?token=hidden",
        "downloads": "https://example.org/x/",
    }
    watcher = Watcher(tmp_path, key, watch=[place])
    watcher.look()
    [name] = watcher.memory.places
    assert name == "example.org/x/ by tags of 127.0.0.1:1/busybox.git"
    assert "hidden" not in "".join(watcher.lines)


def test_tags_that_move_or_go(tmp_path: Path, key: MadeUpKey, server: Upstream) -> None:
    """The signature says what a release is: a tag says only that there is one."""
    folder = tmp_path / "repository"
    git = ("git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(("git", "init", "-q", str(folder)), check=True)
    subprocess.run((*git, "commit", "-q", "--allow-empty", "-m", "one"), check=True)
    subprocess.run((*git, "tag", "1_37_0"), check=True)
    place = {"kind": "git", "repository": str(folder), "downloads": server.url, "insecure": True}
    publish(server, key, "1.37.0")
    watcher = Watcher(tmp_path, key, watch=[place])
    assert watcher.good() == ["1.37.0"]
    subprocess.run((*git, "commit", "-q", "--allow-empty", "-m", "two"), check=True)
    subprocess.run((*git, "tag", "-f", "1_37_0"), check=True, capture_output=True)
    assert watcher.good() == []
    subprocess.run((*git, "tag", "-d", "1_37_0"), check=True, capture_output=True)
    assert watcher.good() == []
    assert watcher.lines == [
        f"{next(iter(watcher.memory.seen))}: lists no release any more; the newest was 1.37.0"
    ]
    subprocess.run((*git, "tag", "1_37_0"), check=True)
    assert watcher.good() == []


def test_clock_that_went_back(tmp_path: Path, key: MadeUpKey, server: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server, grace=3 * 3600)
    publish(server, key, "1.37.0")
    del server.files["busybox-1.37.0.tar.bz2.sig"]
    watcher.look()
    server.down = True
    watcher.look()
    server.down = False
    # What was put off is not put off for years, nor is the grace.
    assert [len(watcher.look(after).bad) for after in (-YEARS, 3 * 3600)] == [0, 1]


def test_bad_copy_after_the_clock_went_back(tmp_path: Path, key: MadeUpKey, server: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server)
    publish(server, key, "1.37.0")
    good = server.files["busybox-1.37.0.tar.bz2.sig"]
    server.files["busybox-1.37.0.tar.bz2.sig"] = key.sign(b"else")
    assert len(watcher.look().bad) == 1
    server.files["busybox-1.37.0.tar.bz2.sig"] = good
    assert watcher.good(after=-YEARS) == ["1.37.0"]
