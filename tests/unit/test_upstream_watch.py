from __future__ import annotations

import dataclasses
import subprocess
from typing import TYPE_CHECKING

import pytest
from upstreambed import MadeUpKey, Upstream, made_up_key, upstream
from watchbed import HOUR, Watcher, publish

from minios_steps.core.upstream.gittags import list_tags, parse_tags
from minios_steps.core.upstream.memory import LONGEST, Backoff, Memory
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def test_each_once_in_order(tmp_path: Path, key: MadeUpKey, server: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server)
    publish(server, key, "1.35.0")
    assert watcher.good() == []
    publish(server, key, "1.38.0")
    publish(server, key, "1.37.0")
    assert watcher.good() == ["1.37.0", "1.38.0"]
    assert watcher.good() == []
    assert watcher.memory.seen == {f"{server.url.removeprefix('http://')}": "1.38.0"}


def test_once_across_mirrors(tmp_path: Path, key: MadeUpKey, server: Upstream, mirror: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server, mirror)
    publish(server, key, "1.37.0")
    assert watcher.good() == ["1.37.0"]
    # The slower mirror has it a day later, and the other is gone.
    publish(mirror, key, "1.37.0")
    server.down = True
    assert watcher.good() == []
    publish(mirror, key, "1.38.0")
    assert watcher.good() == ["1.38.0"]


def test_second_mirror_has_what_the_first_lacks(
    tmp_path: Path, key: MadeUpKey, server: Upstream, mirror: Upstream
) -> None:
    watcher = Watcher(tmp_path, key, server, mirror)
    for one in (server, mirror):
        publish(one, key, "1.37.0")
    del server.files["busybox-1.37.0.tar.bz2.sig"]
    assert watcher.good() == ["1.37.0"]


def test_bad_copy_is_told_once_and_the_good_one_taken(
    tmp_path: Path, key: MadeUpKey, server: Upstream, mirror: Upstream
) -> None:
    watcher = Watcher(tmp_path, key, server, mirror)
    for one in (server, mirror):
        publish(one, key, "1.37.0")
    server.files["busybox-1.37.0.tar.bz2.sig"] = key.sign(b"else")
    found = watcher.look()
    assert [str(release.version) for release in found.good] == ["1.37.0"]
    [bad] = found.bad
    assert (str(bad.version), bad.reason) == ("1.37.0", "the signature is not of this file")
    assert bad.place == server.url.removeprefix("http://")
    assert watcher.look().bad == ()


def test_bad_release_is_told_once_and_looked_at_less_and_less(
    tmp_path: Path, key: MadeUpKey, server: Upstream
) -> None:
    watcher = Watcher(tmp_path, key, server)
    publish(server, key, "1.37.0")
    good = server.files["busybox-1.37.0.tar.bz2.sig"]
    server.files["busybox-1.37.0.tar.bz2.sig"] = key.sign(b"else")
    assert len(watcher.look().bad) == 1
    looked = []
    for _ in range(8):
        server.asked.clear()
        assert watcher.good() == []
        looked.append("busybox-1.37.0.tar.bz2.sig" in server.asked)
    assert looked == [True, False, True, False, False, False, True, False]
    # What is wrong now is something else.
    server.files["busybox-1.37.0.tar.bz2.sha256"] = b"nonsense"
    [bad] = watcher.look(after=LONGEST).bad
    assert "sha256" in bad.reason
    # Upstream mends it.
    publish(server, key, "1.37.0")
    server.files["busybox-1.37.0.tar.bz2.sig"] = good
    assert watcher.good(after=LONGEST) == ["1.37.0"]
    assert watcher.memory.bad == {}


def test_release_that_is_not_whole_is_waited_for(tmp_path: Path, key: MadeUpKey, server: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server)
    publish(server, key, "1.37.0")
    tarball = server.files.pop("busybox-1.37.0.tar.bz2")
    for _ in range(200):
        assert watcher.good() == []
    server.files["busybox-1.37.0.tar.bz2"] = tarball
    assert watcher.good() == ["1.37.0"]
    assert watcher.memory.waiting == {}


def test_unsigned_release_is_told_after_the_grace(tmp_path: Path, key: MadeUpKey, server: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server, grace=3 * 3600)
    publish(server, key, "1.37.0")
    signature = server.files.pop("busybox-1.37.0.tar.bz2.sig")
    told = [len(watcher.look().bad) for _ in range(6)]
    assert told == [0, 0, 0, 1, 0, 0]
    server.files["busybox-1.37.0.tar.bz2.sig"] = signature
    assert watcher.good() == ["1.37.0"]
    assert watcher.memory.unsigned == ()


def test_back_off_of_a_place(tmp_path: Path, key: MadeUpKey, server: Upstream, mirror: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server, mirror)
    server.down = True
    asked = []
    for _ in range(8):
        server.asked.clear()
        mirror.asked.clear()
        assert watcher.good() == []
        asked.append(bool(server.asked))
        assert mirror.asked == [""]
    assert asked == [True, True, False, True, False, False, False, True]
    [place] = watcher.memory.places.values()
    assert "HTTP 503" in place.why
    server.down = False
    assert watcher.good(after=LONGEST) == []
    assert watcher.memory.places == {}
    assert any("HTTP 503" in line for line in watcher.lines)


def test_only_stable(tmp_path: Path, key: MadeUpKey, server: Upstream) -> None:
    watcher = Watcher(tmp_path, key, server, accept="stable")
    for version in ("1.37.0", "1.36.1"):
        publish(server, key, version)
    assert watcher.good() == ["1.36.1"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for words in (
        ("init", "-q", "."),
        (*identity, "commit", "-q", "--allow-empty", "-m", "one"),
        ("tag", "1_35_0"),
        (*identity, "tag", "-a", "-m", "x", "1_37_0"),
        ("tag", "1_00_rc1"),
    ):
        subprocess.run(("git", *words), cwd=folder, check=True)
    return folder


def test_tags_say_which_and_the_web_folder_has_the_bytes(
    tmp_path: Path, key: MadeUpKey, server: Upstream, repository: Path
) -> None:
    place = {"kind": "git", "repository": str(repository), "downloads": server.url, "insecure": True}
    watcher = Watcher(tmp_path, key, watch=[place])
    # A tag alone is no release.
    assert watcher.good() == []
    publish(server, key, "1.37.0")
    publish(server, key, "1.38.0")
    assert watcher.good() == ["1.37.0"]
    assert "" not in server.asked
    assert list(watcher.memory.seen.values()) == ["1.37.0"]


def test_repository_that_is_not_there(tmp_path: Path, key: MadeUpKey) -> None:
    place = {"kind": "git", "repository": str(tmp_path / "none"), "downloads": "https://example.org/x/"}
    watcher = Watcher(tmp_path, key, watch=[place])
    assert watcher.good() == []
    assert watcher.lines[0].startswith(f"example.org/x/ by tags of {tmp_path}/none: git ls-remote: ")


def test_tags(repository: Path, tmp_path: Path) -> None:
    found = list_tags(str(repository), insecure=False, folder=tmp_path)
    assert found == (Version.parse("1.35.0"), Version.parse("1.37.0"))
    sha = "a" * 40
    text = "".join(
        f"{sha}\trefs/tags/{tag}\n"
        for tag in ("v1.2.3", "1_10_0", "1_9_0", "1_9_0^{}", "1_9", "x1_9_1", "01_9_0")
    )
    assert [str(version) for version in parse_tags(text + "warning\n")] == ["1.2.3", "1.9.0", "1.10.0"]


def test_memory_that_is_damaged() -> None:
    whole = Memory(announced={"1.37.0": "x"}, places={"a": Backoff(1, 2.0, "why")})
    data = dataclasses.asdict(whole)
    assert Memory.from_json(data) == whole
    # Whatever else is lost, nothing is announced a second time.
    for broken in ({**data, "places": {"a": {"failures": 1}}}, {"announced": data["announced"]}):
        assert Memory.from_json(broken) == Memory(announced={"1.37.0": "x"})
    assert Memory.from_json(None) == Memory.from_json([]) == Memory.from_json({"announced": 1}) == Memory()


def test_back_off_doubles_up_to_a_day() -> None:
    failed = None
    waits = []
    for _ in range(40):
        failed = Backoff.after(failed, 0.0, HOUR, "x")
        waits.append(failed.until + HOUR / 2)
    assert waits[:4] == [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR]
    assert waits[-1] == LONGEST
