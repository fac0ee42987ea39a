from __future__ import annotations

import dataclasses
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sealedbed import put_release

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, PolicyError, TagMovedError
from minios_steps.core.oci import media
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.model import Descriptor, encode
from minios_steps.core.records import RECORD_TYPE, Trigger, attach, find_records
from minios_steps.core.registry.claim import ClaimedError
from minios_steps.core.released import find_released
from minios_steps.core.tag_moves import Move, TagMover
from minios_steps.core.tags import fits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from minios_steps.core.oci.index import Index

WHO = Trigger(owner="me", reason="because")


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(Layout(tmp_path / "out"))


class History:
    """Three releases under `latest`, the newest last."""

    def __init__(self, store: LayoutStore, folder: Path) -> None:
        self.indexes: list[Index] = []
        before: dict[str, str] = {}
        for version in ("1.35.0", "1.37.0", "1.38.0"):
            made = put_release(store, folder, version=version, tags=(version, "latest"), previous=before)
            before = {"latest": str(made.descriptor.digest)}
            self.indexes.append(made)

    @property
    def digests(self) -> list[Digest]:
        return [index.descriptor.digest for index in self.indexes]


@pytest.fixture
def history(store: LayoutStore, tmp_path: Path) -> History:
    return History(store, tmp_path)


def test_further_tags(store: LayoutStore, history: History) -> None:
    first, _, last = history.digests
    moves = TagMover(store, WHO, versions={"minios": "1"}).retag("1.38.0", ["stable", "latest", "stable"])
    assert moves == (Move("stable", None, last), Move("latest", last, last))
    assert [move.moved for move in moves] == [True, False]
    assert store.manifest("stable").raw == history.indexes[-1].raw
    [record, made] = find_records(store, last)
    assert (record.action, record.tags, record.previous) == ("retag", ("stable",), {})
    assert (record.trigger, record.version, record.variant) == (WHO, "1.38.0", "static")
    assert made.action == "release"
    [move] = TagMover(store, WHO).retag(first, ["stable"])
    assert (move.before, move.after) == (last, first)


def test_a_tag_that_is_there_already_changes_nothing(store: LayoutStore, history: History) -> None:
    before = (store.layout.root / "index.json").read_bytes()
    [move] = TagMover(store, WHO).retag("1.38.0", ["latest"])
    assert not move.moved
    assert (store.layout.root / "index.json").read_bytes() == before
    assert len(find_records(store, history.digests[-1])) == 1


@pytest.mark.parametrize("tag", ["a b", "", "x" * 129, "sha256-" + "a" * 64, "_minios-claim"])
def test_what_is_no_tag_for_people(store: LayoutStore, history: History, tag: str) -> None:
    with pytest.raises(ImageError, match="not a tag for people"):
        TagMover(store, WHO).retag(history.digests[0], ["good", tag])
    assert "good" not in store.tags()


def test_an_immutable_tag_is_set_once(store: LayoutStore, history: History) -> None:
    mover = TagMover(store, WHO, immutable=lambda tag: tag != "latest")
    mover.retag("1.38.0", ["stable", "1.38.0"])
    with pytest.raises(PolicyError, match=r":stable is sha256:.*never moves"):
        mover.retag("1.37.0", ["latest", "stable"])
    assert store.manifest("latest").digest == history.digests[-1], "nothing moved"
    with pytest.raises(PolicyError):
        mover.rollback("stable", history.digests[0])


def test_back_and_further_back(store: LayoutStore, history: History) -> None:
    first, second, last = history.digests
    mover = TagMover(store, WHO)
    assert mover.rollback("latest") == Move("latest", last, second)
    assert store.manifest("latest").digest == second
    [record, _] = find_records(store, second)
    assert (record.action, record.previous) == ("rollback", {"latest": str(last)})
    assert mover.rollback("latest") == Move("latest", second, first)
    with pytest.raises(ImageError, match="there is no earlier release to go back to"):
        mover.rollback("latest")
    assert mover.rollback("latest", last) == Move("latest", first, last)
    assert store.tags() == ("1.35.0", "1.37.0", "1.38.0", "latest")


def test_somebody_else_moves_the_tag_meanwhile(
    store: LayoutStore, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, truly = history.indexes[0], store.attach

    def slow(raw: bytes) -> bool:
        store.set_tags(["latest"], other.raw, other.media_type)
        return truly(raw)

    monkeypatch.setattr(store, "attach", slow)
    with pytest.raises(TagMovedError, match="somebody else moved it; nothing was moved"):
        TagMover(store, WHO).rollback("latest")
    assert store.manifest("latest").digest == other.descriptor.digest


def test_tags_move_only_while_the_claim_is_held(store: LayoutStore, history: History) -> None:
    first, _, last = history.digests
    seen: list[Digest] = []

    @contextmanager
    def alone() -> Iterator[None]:
        seen.append(store.manifest("latest").digest)
        yield
        seen.append(store.manifest("latest").digest)

    mover = TagMover(store, WHO, alone=alone)
    mover.retag("1.35.0", ["latest"])
    assert seen == [last, first]
    mover.retag("1.35.0", ["latest"])
    assert len(seen) == 2, "what does not move needs no claim"


def test_who_does_not_get_the_claim_changes_nothing(store: LayoutStore, history: History) -> None:
    def refused() -> AbstractContextManager[None]:
        raise ClaimedError("out: somebody moves its tags")

    with pytest.raises(ClaimedError):
        TagMover(store, WHO, alone=refused).retag("1.35.0", ["latest"])
    assert store.manifest("latest").digest == history.digests[-1]
    assert len(find_records(store, history.digests[0])) == 1, "no record of what did not happen"


def test_dockers_lists_have_their_records_alone(store: LayoutStore, history: History) -> None:
    told = {**json.loads(history.indexes[0].raw), "mediaType": media.DOCKER_INDEX}
    del told["annotations"]
    raw = encode(told)
    store.put_manifest(raw, media.DOCKER_INDEX)
    [made] = find_records(store, history.digests[0])
    found = Descriptor(media.DOCKER_INDEX, Digest.of(raw), len(raw))
    attach(store, dataclasses.replace(made, index=str(found.digest)), found)
    [move] = TagMover(store, WHO).retag(found.digest, ["docker"])
    assert move.moved
    [release] = [one for one in find_released(store) if "docker" in one.tags]
    assert (release.version, release.variant) == ("1.35.0", "static")
    assert [record.version for record in release.records] == ["1.35.0", "1.35.0"]


def test_a_tag_that_was_new(store: LayoutStore, history: History) -> None:
    with pytest.raises(ImageError, match="there is no earlier release to go back to") as caught:
        TagMover(store, WHO).rollback("1.38.0")
    assert caught.value.hint == "name an index: --to DIGEST"
    with pytest.raises(ImageError, match=r"is sha256:.* already"):
        TagMover(store, WHO).rollback("latest", history.digests[-1])
    with pytest.raises(ImageError, match="no tag 'absent'"):
        TagMover(store, WHO).rollback("absent")


def test_no_record(store: LayoutStore, tmp_path: Path) -> None:
    put_release(store, tmp_path, recorded=False)
    with pytest.raises(ImageError, match="no record says what it was before"):
        TagMover(store, WHO).rollback("latest")


def test_an_index_that_is_gone(store: LayoutStore, history: History) -> None:
    store.layout.blob_path(history.digests[1]).unlink()
    with pytest.raises(ImageError, match=r"cannot go back to .* is missing") as caught:
        TagMover(store, WHO).rollback("latest")
    assert "--to" in caught.value.hint
    assert store.manifest("latest").digest == history.digests[-1]


@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
def test_an_index_that_is_not_whole_any_more(store: LayoutStore, tmp_path: Path, what: str) -> None:
    """Of the older release one image is its own: blobs that both share are there anyway."""
    old = put_release(store, tmp_path, platforms=("linux/amd64", "linux/s390x"), tags=("latest",))
    before = {"latest": str(old.descriptor.digest)}
    new = put_release(store, tmp_path, tags=("latest",), previous=before, note="new")
    entry = next(one for one in old.entries if str(one.platform) == "linux/s390x")
    told = json.loads(store.manifest(entry.digest).raw)
    found = {"manifest": str(entry.digest), "config": told["config"]["digest"]}
    found["layer"] = told["layers"][0]["digest"]
    store.layout.blob_path(Digest.parse(found[what])).unlink()
    with pytest.raises(ImageError, match=r"is not whole: linux/s390x: .* is missing"):
        TagMover(store, WHO).rollback("latest")
    assert store.manifest("latest").digest == new.descriptor.digest
    assert len(find_records(store, old.descriptor.digest)) == 1


def test_what_was_released_is_listed_newest_first(store: LayoutStore, history: History) -> None:
    found = find_released(store)
    assert [one.tags for one in found] == [("1.38.0", "latest"), ("1.37.0",), ("1.35.0",)]
    assert [one.digest for one in found] == history.digests[::-1]
    assert (found[0].version, found[0].variant, found[0].by) == ("1.38.0", "static", "somebody")
    assert [platform for platform, _ in found[0].platforms] == ["linux/amd64", "linux/arm64/v8"]
    assert found[0].time > found[1].time


def test_a_moved_tag_makes_nothing_newer(store: LayoutStore, history: History) -> None:
    TagMover(store, WHO).rollback("latest")
    found = find_released(store)
    assert [one.digest for one in found] == history.digests[::-1]
    assert found[1].tags == ("1.37.0", "latest")
    assert found[1].by == "somebody"


def test_images_and_what_has_no_record(store: LayoutStore, history: History, tmp_path: Path) -> None:
    put_release(store, tmp_path, tags=("bare",), recorded=False, note="bare")
    image = store.manifest(history.indexes[0].entries[0].digest)
    store.set_tags(["alone"], image.raw, image.media_type)
    *_, bare, alone = find_released(store)
    assert (bare.tags, bare.time, bare.by) == (("bare",), "", "")
    assert (alone.tags, [platform for platform, _ in alone.platforms]) == (("alone",), ["linux/amd64"])


def test_a_damaged_record_is_told(store: LayoutStore, history: History) -> None:
    [about] = [one for one in store.referrers(history.digests[0]) if one.artifact_type == RECORD_TYPE]
    told = json.loads(store.manifest(about.descriptor.digest).raw)
    store.layout.blob_path(Digest.parse(told["layers"][0]["digest"])).write_bytes(b"{}")
    broken = next(one for one in find_released(store) if one.digest == history.digests[0])
    assert "another digest" in broken.problem
    assert broken.as_json()["problem"] == broken.problem
    assert broken.time == ""


def test_an_empty_store(store: LayoutStore) -> None:
    assert find_released(store) == ()


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("{version}", "1.38.0", "1.38"),
        ("{minor}-dynamic", "1.38-dynamic", "1.38.0-dynamic"),
        ("{major}", "1", "1a"),
        ("latest", "latest", "latest2"),
        ("v.{version}", "v.1.2.3", "vx1.2.3"),
    ],
)
def test_which_tags_fit_a_pattern(pattern: str, good: str, bad: str) -> None:
    assert fits(pattern, good)
    assert not fits(pattern, bad)
