"""Moving tags to an index that is there: further names for it, or back to the one before."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, PolicyError, TagMovedError
from minios_steps.core.oci import media
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import RawManifest
from minios_steps.core.oci.tag import is_hidden, is_tag
from minios_steps.core.records import Action, ReleaseRecord, Trigger, attach, find_records
from minios_steps.core.released import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from minios_steps.core.oci.store import ImageStore, RawResult


@dataclass(frozen=True)
class Move:
    """What became of one tag; `before` is None for a new one."""

    tag: str
    before: Digest | None
    after: Digest

    @property
    def moved(self) -> bool:
        """Whether it points at something else now."""
        return self.before != self.after


class TagMover:
    """Moves tags of a store, and keeps a record of it with the index that they get.

    Args:
        store: has the index, whole.
        by: who asks, and why.
        immutable: whether the configuration says that a tag never moves once it is there.
        versions: of the programs, for the record.
        alone: gives what is held while tags are looked at and moved, such as a registry's claim.
    """

    def __init__(
        self,
        store: ImageStore,
        by: Trigger,
        *,
        immutable: Callable[[str], bool] = lambda _: False,
        versions: dict[str, str] | None = None,
        alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.store = store
        self._by = by
        self._immutable = immutable
        self._versions = versions or {}
        self._alone = alone

    def retag(self, ref: str | Digest, tags: Sequence[str]) -> tuple[Move, ...]:
        """Point tags at what a tag or digest is.

        Raises:
            PolicyError: a tag is immutable and is something else.
            ImageError: a tag has a form that is not allowed, or the index is not whole.
            TagMovedError: somebody else moved a tag meanwhile.
        """
        for tag in tags:
            if not is_tag(tag) or is_hidden(tag):
                raise ImageError(f"not a tag for people: {tag[:140]!r}")
        return self._move("retag", self.store.manifest(ref), tags)

    def rollback(self, tag: str, to: Digest | None = None) -> Move:
        """Move a tag back.

        Args:
            tag: the tag.
            to: the index it shall point at; None for the one before, as the record says.

        Raises:
            PolicyError: the tag is immutable.
            ImageError: nothing says what was before, or that is not whole any more.
            TagMovedError: somebody else moved the tag meanwhile.
        """
        now = self.store.manifest(tag)
        target = to or self._before(tag, now.digest)
        if target == now.digest:
            raise ImageError(f"{self.store.name}:{tag} is {target} already")
        try:
            back = self.store.manifest(target)
        except ImageError as error:
            raise ImageError(
                f"{self.store.name}:{tag} cannot go back to {target}: {error.what}",
                hint="name another index: --to DIGEST",
            ) from error
        [move] = self._move("rollback", back, [tag])
        return move

    def _before(self, tag: str, now: Digest) -> Digest:
        """What a tag was, by the newest record that moved it forward to where it is."""
        mine = [
            record
            for record in find_records(self.store, now)
            if record.action != "rollback" and tag in record.tags
        ]
        for record in mine:
            before = record.previous.get(tag, "")
            if before and before != str(now):
                return Digest.parse(before)
        why = "no record says what it was before"
        if any(tag not in record.previous for record in mine):
            why = "that is the first it ever was: there is no earlier release to go back to"
        raise ImageError(f"{self.store.name}:{tag} is {now}, and {why}", hint="name an index: --to DIGEST")

    def _move(self, action: Action, found: RawResult, tags: Sequence[str]) -> tuple[Move, ...]:
        moves = tuple(Move(tag, self._now(tag), found.digest) for tag in dict.fromkeys(tags))
        moving = tuple(move for move in moves if move.moved)
        for move in moving:
            if move.before and self._immutable(move.tag):
                raise PolicyError(
                    f"{self.store.name}:{move.tag} is {move.before}, and the configuration says "
                    "that this tag never moves"
                )
        if moving:
            check_whole(self.store, found)
            with self._alone():
                self._move_now(action, found, moving)
        return moves

    def _move_now(self, action: Action, found: RawResult, moving: Sequence[Move]) -> None:
        """Move the tags, when they still are where they were."""
        self._look_again(moving)
        attach(self.store, self._record(action, found, moving), found.descriptor)
        self._look_again(moving)
        self.store.set_tags([move.tag for move in moving], found.raw, found.media_type)
        for move in moving:
            if (back := self._now(move.tag)) != found.digest:
                raise ImageError(f"{self.store.name}:{move.tag}: set to {found.digest}, it is {back}")

    def _look_again(self, moving: Sequence[Move]) -> None:
        for move in moving:
            if (now := self._now(move.tag)) != move.before:
                raise TagMovedError(
                    f"{self.store.name}:{move.tag} was {move.before or 'not there'}, and is "
                    f"{now or 'gone'} now: somebody else moved it; nothing was moved"
                )

    def _now(self, tag: str) -> Digest | None:
        found = self.store.head(tag)
        return found.digest if found else None

    def _record(self, action: Action, found: RawResult, moves: Sequence[Move]) -> ReleaseRecord:
        version, variant = version_of(found, find_records(self.store, found.digest))
        return ReleaseRecord(
            action=action,
            version=version,
            variant=variant,
            index=str(found.digest),
            tags=tuple(move.tag for move in moves),
            previous={move.tag: str(move.before) for move in moves if move.before},
            time=dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds"),
            trigger=self._by,
            versions=self._versions,
        )


def check_whole(store: ImageStore, found: RawResult) -> None:
    """Make sure that every manifest and blob below an index or image is there.

    Raises:
        ImageError: one is not; the error names the platform.
    """
    if found.media_type in media.INDEXES:
        for entry in parse_index(found.raw, str(found.digest)).entries:
            try:
                check_whole(store, store.manifest(entry.digest))
            except ImageError as error:
                where = f"{found.digest} is not whole: {entry.platform}"
                raise ImageError(f"{where}: {error.what}", hint=error.hint) from error
        return
    manifest = RawManifest.parse(found.raw, str(found.digest))
    for blob in (manifest.config, *manifest.layers):
        if not store.has_blob(blob.digest):
            raise ImageError(f"{store.name}: blob {blob.digest} is missing")
