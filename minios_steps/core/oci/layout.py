"""An OCI image layout on disk (image-spec, image-layout.md), changed by whole steps only.

Blobs come first, each written beside its place and renamed; `index.json`, which names the
tags, is replaced last by one rename. A layout that is not there yet is built in a folder
beside its place, `NAME.tmp-…`, and renamed. So whoever reads sees the old layout or the
new one, whenever the writer dies. Writers of one layout wait for each other on the lock
file `.NAME.lock` beside it, which the kernel frees when its holder dies.
"""

from __future__ import annotations

import dataclasses
import fcntl
import re
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, TagMovedError
from minios_steps.core.oci import media
from minios_steps.core.oci.annotations import REF_NAME
from minios_steps.core.oci.atomic import disk_error, make_folder, sync_folder, write_bytes
from minios_steps.core.oci.blobs import FOLDER, Blobs
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.layout_lists import find_list, reachable, store_artifacts, tag_of
from minios_steps.core.oci.model import MANIFEST_LIMIT, SCHEMA, Descriptor, decode, encode
from minios_steps.core.oci.tag import is_hidden, is_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_MARK = "oci-layout"
_MARK_BYTES = encode({"imageLayoutVersion": "1.0.0"})
_INDEX = "index.json"
_EMPTY = encode({"schemaVersion": SCHEMA, "mediaType": media.INDEX, "manifests": []})


class Layout:
    """A layout's folder, which need not exist yet.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = Blobs(root)

    @property
    def exists(self) -> bool:
        """Whether there is a layout."""
        return (self.root / _MARK).is_file()

    def create(self) -> None:
        """Make an empty layout where there is none.

        Raises:
            ImageError: something else is there, or it cannot be written.
        """
        if not self.exists:
            with self._locked():
                if not self.exists:
                    with self._building():
                        pass

    def tags(self) -> dict[str, Descriptor]:
        """What each tag that people gave points at, by tag; nothing when there is no layout.

        Raises:
            ImageError: `index.json` is missing or malformed.
        """
        return {tag: found for tag, found in self.all_tags().items() if not is_hidden(tag)}

    def all_tags(self) -> dict[str, Descriptor]:
        """As `tags`, with those that programs gave, such as the lists of referrers."""
        if not self.exists:
            return {}
        found = {}
        for entry in parse_index(self._index_bytes(), str(self.root / _INDEX)).entries:
            rest = dict(entry.annotations)
            if tag := rest.pop(REF_NAME, ""):
                found[tag] = dataclasses.replace(entry, annotations=rest)
        return found

    def referrers_list(self, subject: Digest) -> bytes | None:
        """The list of what refers to a manifest, an index; None when nothing does.

        Raises:
            ImageError: `index.json` or the list is missing or malformed.
        """
        if not self.exists:
            return None
        raw, what = self._index_bytes(), str(self.root / _INDEX)
        parse_index(raw, what)
        return find_list(self._blobs, decode(raw, what), subject)

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is there; its bytes are not looked at."""
        return self._blobs.path(digest).is_file()

    def blob_path(self, digest: Digest) -> Path:
        """Where a blob is, or would be."""
        return self._blobs.path(digest)

    def read(self, digest: Digest, limit: int = MANIFEST_LIMIT) -> bytes:
        """A blob's bytes, hashed again.

        Raises:
            ImageError: the blob is missing, longer than `limit` bytes, or damaged.
        """
        return self._blobs.read(digest, limit)

    def put_bytes(self, data: bytes) -> Digest:
        """Store a blob, in a new layout when there is none; raises `ImageError` when it cannot be written."""
        self.create()
        self._blobs.put_bytes(data)
        return Digest.of(data)

    def put_file(self, path: Path, digest: Digest) -> None:
        """Store a copy of a file as a blob, in a new layout when there is none.

        Raises:
            ImageError: the file cannot be read, has another digest, or cannot be written.
        """
        self.create()
        self._blobs.put_file(path, digest)

    def closure(self, descriptor: Descriptor) -> tuple[Digest, ...]:
        """A manifest or index and every blob below it, each once, parents first.

        Raises:
            ImageError: a manifest or index is missing, damaged, or of an unknown kind.
        """
        return self._blobs.closure(descriptor)

    def check(self, descriptor: Descriptor) -> None:
        """Make sure a manifest or index and every blob below it are there and hash to their digests.

        Raises:
            ImageError: one is missing, damaged, or not what its descriptor says.
        """
        self._blobs.check(descriptor)

    def publish(
        self,
        tags: Mapping[str, Descriptor],
        *,
        raw: Iterable[bytes] = (),
        files: Mapping[Digest, Path] | None = None,
        artifacts: Iterable[bytes] = (),
        expected: Mapping[str, Digest | None] | None = None,
    ) -> bool:
        """Store blobs, then set tags, in one step for whoever reads.

        Args:
            tags: what each tag shall point at: an image or an index; all others stay.
            raw: blobs to store first.
            files: copies to store first, by their digests.
            artifacts: manifests that each name a subject, to store and to put on its list of
                referrers.
            expected: what tags must point at until now; None for nothing.

        Returns:
            Whether anything was written.

        Raises:
            TagMovedError: a tag points at something else than was expected.
            ImageError: a tag has a form that is not allowed; a blob below what a tag shall
                point at, or of an artifact, is missing or damaged; something else is in the
                layout's place; the disk is full. Then every tag is as it was.
        """
        for tag in tags:
            if not is_tag(tag):
                raise ImageError(f"not a tag: {tag[:140]!r}")
        with self._locked():
            known = self.tags()
            for tag, digest in (expected or {}).items():
                if (known[tag].digest if tag in known else None) != digest:
                    raise TagMovedError(f"{self.root}: somebody else moved tag {tag!r} meanwhile")
            if self.exists:
                return self._publish(tags, raw, files or {}, artifacts)
            with self._building() as fresh:
                fresh._publish(tags, raw, files or {}, artifacts)  # noqa: SLF001
            return True

    def collect(self, keep: Iterable[Descriptor] = (), *, min_age: float = 0.0) -> int:
        """Remove the blobs that no tag leads to, and what dead writers left.

        A list of referrers stays as long as what it is about. Where an entry of the layout
        cannot be followed, nothing is removed.

        Args:
            keep: more images and indexes to keep, with what is below them.
            min_age: seconds for which a blob stays after it was last stored, for those who
                store first and tag later.

        Returns:
            How many blobs were removed.

        Raises:
            ImageError: a blob cannot be removed.
        """
        if not self.exists:
            return 0
        with self._locked():
            what = str(self.root / _INDEX)
            raw = self._index_bytes()
            entries = parse_index(raw, what).entries
            try:
                used = reachable(self._blobs, entries, keep)
            except ImageError:
                return 0
            dead = {number for number, entry in enumerate(entries) if entry.digest not in used}
            if dead:
                told = decode(raw, what)
                left = [entry for number, entry in enumerate(told["manifests"]) if number not in dead]
                write_bytes(self.root / _INDEX, encode({**told, "manifests": left}))
            return self._blobs.sweep(used, min_age=min_age)

    def _index_bytes(self) -> bytes:
        path = self.root / _INDEX
        try:
            with path.open("rb") as stream:
                return stream.read(MANIFEST_LIMIT)
        except OSError as error:
            raise ImageError(f"{path}: cannot be read: {error.strerror}") from error

    def _publish(
        self,
        tags: Mapping[str, Descriptor],
        raw: Iterable[bytes],
        files: Mapping[Digest, Path],
        artifacts: Iterable[bytes],
    ) -> bool:
        written = [self._blobs.put_bytes(data) for data in raw]
        written += [self._blobs.put_file(path, digest) for digest, path in files.items()]
        what = str(self.root / _INDEX)
        old = self._index_bytes()
        parse_index(old, what)
        told = decode(old, what)
        wanted = {**tags, **store_artifacts(self._blobs, told, artifacts)}
        for descriptor in dict.fromkeys(wanted.values()):
            self.check(descriptor)
        # Entries that others wrote stay as they are, whatever more they say.
        named = {tag_of(entry): entry for entry in told["manifests"] if tag_of(entry)}
        for tag, descriptor in wanted.items():
            named[tag] = {
                **descriptor.as_json(),
                "annotations": {**descriptor.annotations, REF_NAME: tag},
            }
        entries = [entry for entry in told["manifests"] if not tag_of(entry)]
        entries += [named[tag] for tag in sorted(named)]
        if entries == told["manifests"]:
            return any(written)
        write_bytes(self.root / _INDEX, encode({**told, "manifests": entries}))
        return True

    @contextmanager
    def _building(self) -> Iterator[Layout]:
        """An empty layout beside the place, renamed into it when the block ends well."""
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise ImageError(
                f"{self.root} is there and is no OCI image layout",
                hint="move it away, or name another folder",
            )
        unfinished = re.compile(rf"{re.escape(self.root.name)}\.tmp-[0-9a-f]{{16}}")
        fresh = self.root.with_name(f"{self.root.name}.tmp-{secrets.token_hex(8)}")
        try:
            # Whoever made these is dead: the lock is ours.
            for path in self.root.parent.iterdir():
                if unfinished.fullmatch(path.name):
                    shutil.rmtree(path)
            for folder in (fresh, fresh / "blobs", fresh / FOLDER):
                make_folder(folder)
            write_bytes(fresh / _INDEX, _EMPTY)
            write_bytes(fresh / _MARK, _MARK_BYTES)
            yield Layout(fresh)
            fresh.rename(self.root)
            sync_folder(self.root.parent)
        except OSError as error:
            raise disk_error(self.root, error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Be the only writer; waits for others."""
        path = self.root.with_name(f".{self.root.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("ab")
        except OSError as error:
            raise disk_error(path, error) from error
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
