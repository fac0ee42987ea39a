"""The candidate store: every image that was built, under the key of what went into it.

`ROOT` is an OCI image layout without tags; `ROOT/cells/HEX.json` is the record of the cell
with that key. A record is written after its blobs, so one that is there can be believed to
have had them; `find` hashes them again all the same. `ROOT/others/HEX.json` is the record of an image
that another build from the same inputs gave instead: no candidate, only there to be compared.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING

from minios_steps.core.cell_record import CellRecord
from minios_steps.core.cellkey import CellInputs
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError, ImageError
from minios_steps.core.oci.atomic import disk_error, make_folder, write_bytes
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from minios_steps.core.tarball import LayerFile

_GRACE = 3600.0
"""Seconds for which `prune` leaves a blob alone: its record may be about to be written."""
MAX_OTHERS = 16
"""Images of other builds that are kept for comparison, one for each key; the oldest goes."""


class CandidateStore:
    """A candidate store's folder, which need not exist yet.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(root)
        self._cells = root / "cells"
        self._others = root / "others"

    def put(self, record: CellRecord, *, layer: LayerFile, config: bytes, manifest: bytes) -> None:
        """Store an image and then its record; what is there already is not written again.

        Raises:
            ImageError: the manifest is not the record's, the blobs are not the manifest's,
                the layer cannot be read, or the disk is full.
        """
        if Digest.of(manifest) != record.descriptor.digest:
            raise ImageError(f"{record.arch}: the record is of another manifest than {Digest.of(manifest)}")
        self.layout.put_file(layer.path, layer.digest)
        self.layout.put_bytes(config)
        self.layout.put_bytes(manifest)
        self.record(record)

    def record(self, record: CellRecord) -> None:
        """Write the record of an image whose blobs are in the store.

        Raises:
            ImageError: a blob is missing or damaged, or the disk is full.
        """
        self._write(self._cells, record)

    def put_other(self, record: CellRecord, files: Mapping[Digest, Path], raw: Iterable[bytes] = ()) -> None:
        """Keep the image that another build of a cell gave, beside the candidate, which stays.

        There is one for each key, and `MAX_OTHERS` in all; the blobs of those that go are removed.

        Args:
            record: of that image, under the candidate's key.
            files: its blobs, copied; by digest.
            raw: more of its blobs.

        Raises:
            ImageError: a blob is missing or damaged, or the disk is full.
        """
        for digest, path in files.items():
            self.layout.put_file(path, digest)
        for data in raw:
            self.layout.put_bytes(data)
        before = {other.descriptor.digest for other in self.others()}
        self._write(self._others, record)
        by_age = sorted(self._others.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in by_age[:-MAX_OTHERS]:
            _unlink(path)
        if before - {other.descriptor.digest for other in self.others()}:
            kept = [one.descriptor for one in (*self._records(), *self.others()) if self._is_whole(one)]
            self.layout.collect(kept, min_age=_GRACE)

    def others(self) -> tuple[CellRecord, ...]:
        """The records of what `put_other` keeps; damaged ones are skipped."""
        return tuple(self._records(self._others))

    def find(self, key: Digest, on_damage: Callable[[str], None] | None = None) -> CellRecord | None:
        """The cell with a key, when its manifest, config and layer are there and hash to their digests.

        Args:
            key: the cell's key.
            on_damage: is told in one line why a cell that is there cannot be used.
        """
        try:
            record = self._load(self._path(key))
            if record:
                self.layout.check(record.descriptor)
        except ImageError as error:
            if on_damage:
                on_damage(str(error))
            return None
        return record

    def use(self, key: Digest) -> None:
        """Note that a cell is used now, for `used_since`; nothing happens where there is none."""
        with contextlib.suppress(OSError):
            os.utime(self._path(key))

    def used_since(self, when: float) -> frozenset[Digest]:
        """The keys of the cells that were built or used since a time, in seconds since 1970."""
        return self._used_since(when, self._paths())

    def _used_since(self, when: float, paths: Iterable[Path]) -> frozenset[Digest]:
        found = set()
        for path in paths:
            with contextlib.suppress(OSError, ImageError):
                if path.stat().st_mtime >= when:
                    found.add(Digest(path.stem))
        return frozenset(found)

    def named(self, text: str) -> tuple[CellRecord, ...]:
        """The candidates and other images whose digest or key begins with some hexadecimal characters."""
        return tuple(
            record
            for record in (*self._records(), *self.others())
            if text and (record.descriptor.digest.hex.startswith(text) or record.key.hex.startswith(text))
        )

    def latest(self, arch: str, version: str, variant: str) -> CellRecord | None:
        """The newest record of an arch, version and variant, whatever its key; damaged ones are skipped."""
        wanted = (arch, version, variant)
        found = [
            record for record in self._records() if (record.arch, record.version, record.variant) == wanted
        ]
        return max(found, key=lambda record: (record.built, record.key), default=None)

    def explain(self, inputs: CellInputs) -> str:
        """Why a cell that `find` did not find is to be built, against the newest one like it, in one line."""
        last = self.latest(inputs.arch, inputs.version, inputs.variant)
        if last is None:
            return "not built before"
        try:
            changes = inputs.explain(CellInputs.from_json(last.inputs))
        except ConfigError as error:
            return error.what
        return "; ".join(changes) or "the candidate that was built from this is damaged"

    def blobs(self, descriptor: Descriptor) -> tuple[Digest, ...]:
        """The digests of an image's manifest, config and layer.

        Raises:
            ImageError: the manifest is missing or damaged.
        """
        return self.layout.closure(descriptor)

    def prune(self, keep: Collection[Digest], *, since: float = math.inf, min_age: float = _GRACE) -> int:
        """Forget the cells that are damaged or not in `keep`, and remove the blobs that only they had.

        Args:
            keep: keys.
            since: what was built or used since this time stays too: a build may have, meanwhile.
            min_age: seconds for which a blob stays after it was last stored.

        Returns:
            How many blobs were removed.

        Raises:
            ImageError: a record or blob cannot be removed.
        """
        wanted = {key.hex for key in keep}
        kept = []
        for path in self._paths():
            # Looked at now, and not all before: hashing what stays takes its time.
            wanted |= {key.hex for key in self._used_since(since, [path])}
            record = self.find(Digest(path.stem)) if path.stem in wanted else None
            if record:
                kept.append(record.descriptor)
            else:
                _unlink(path)
        for record in self.others():
            if record.key.hex in wanted and self._is_whole(record):
                kept.append(record.descriptor)
            else:
                _unlink(self._others / f"{record.key.hex}.json")
        return self.layout.collect(kept, min_age=min_age)

    def _write(self, folder: Path, record: CellRecord) -> None:
        self.layout.check(record.descriptor)
        try:
            make_folder(folder)
        except OSError as error:
            raise disk_error(folder, error) from error
        write_bytes(folder / f"{record.key.hex}.json", encode(record.as_json()))

    def _is_whole(self, record: CellRecord) -> bool:
        try:
            self.layout.closure(record.descriptor)
        except ImageError:
            return False
        return True

    def _path(self, key: Digest) -> Path:
        return self._cells / f"{key.hex}.json"

    def _paths(self) -> list[Path]:
        return sorted(self._cells.glob("*.json"))

    def _records(self, folder: Path | None = None) -> Iterator[CellRecord]:
        for path in sorted((folder or self._cells).glob("*.json")):
            try:
                record = self._load(path)
            except ImageError:
                continue
            if record:
                yield record

    def _load(self, path: Path) -> CellRecord | None:
        try:
            with path.open("rb") as stream:
                raw = stream.read(MANIFEST_LIMIT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            record = CellRecord.from_json(decode(raw, "cell record"))
        except ImageError as error:
            raise ImageError(f"{path}: {error.what}") from error
        if record.key.hex != path.stem:
            raise ImageError(f"{path}: is the record of {record.key}")
        return record


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(path, error) from error
