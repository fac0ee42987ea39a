"""The record of a release: who, from what, what came of each cell, and what was there before.

It is kept with the release, as an OCI artifact whose subject is the index; so whoever has the
index and its referrers knows where it came from, without this project's master.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.artifact import Artifact, Part, build_artifact
from minios_steps.core.oci.model import MANIFEST_LIMIT, Descriptor, RawManifest, encode

if TYPE_CHECKING:
    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.store import ImageStore

RECORD_TYPE = "application/vnd.minios.release.v1+json"
"""The artifact's type, and the media type of the record in it."""
Action = Literal["release", "partial", "retag", "rollback"]
"""What moved the tags. `partial`: a narrowed run, whose tag is beside the release's."""

# A record of a later version may say more.
_CONFIG = ConfigDict(extra="ignore", hide_input_in_errors=True)


@dataclass(frozen=True)
class Trigger:
    """Who asked for it; each is empty where it is not known.

    Args:
        owner: the person or program that Buildbot names as the build's owner.
        reason: why, in their words.
        scheduler: the Buildbot scheduler that it came through.
        build: the URL of the build, which may be gone by now.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    owner: str = ""
    reason: str = ""
    scheduler: str = ""
    build: str = ""


@dataclass(frozen=True)
class CellOutcome:
    """What came of one cell.

    Args:
        arch: the arch's name.
        outcome: as in `CellResult`.
        reason: why it is not good; empty when it is.
        digest: of the image's manifest that the index has, `sha256:HEX`; empty when it has none.
        key: the cell's key, `sha256:HEX`; empty when it is not known.
        carried: the image was kept from the index before.
        size: bytes of manifest, config and compressed layer.
        inputs: what went into the key (`CellInputs.as_json`); empty when it is not known.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    arch: str
    outcome: str
    reason: str = ""
    digest: str = ""
    key: str = ""
    carried: bool = False
    size: int = 0
    inputs: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ReleaseRecord:
    """What is kept of one release.

    Args:
        action: what moved the tags.
        version: the release of BusyBox.
        variant: `static` or `dynamic`.
        index: digest of the index that the tags point at now, `sha256:HEX`.
        tags: the tags that were to point at it, those moved first first.
        previous: what each of the tags pointed at before, `sha256:HEX`; a new tag is not in it.
        time: when the tags were about to move, ISO 8601 in UTC with milliseconds.
        trigger: who asked for it.
        versions: of the programs that made it, by name: `minios`, `buildbot`, `python`.
        config: digest of the configuration, `sha256:HEX`; empty when none was at hand.
        source_sha256: of the release's tarball, in hexadecimal; empty when it is not known.
        cells: every cell of the release, in the order of arch names.
        left_out: the arches that the index lacks, each with the reason in one word.
        schema: of this mapping.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    action: Action
    version: str
    variant: str
    index: str
    tags: tuple[str, ...]
    previous: dict[str, str] = field(hash=False)
    time: str
    trigger: Trigger = Trigger()
    versions: dict[str, str] = field(default_factory=dict, hash=False)
    config: str = ""
    source_sha256: str = ""
    cells: tuple[CellOutcome, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict, hash=False)
    schema: Literal[1] = 1

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types, as it is kept."""
        told: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return told

    @classmethod
    def from_json(cls, told: Any) -> ReleaseRecord:
        """Read what `as_json` gave; what is not known is passed over.

        Raises:
            ImageError: something is missing or has another type.
        """
        try:
            return _ADAPTER.validate_python(told)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ImageError(f"not a release's record: {where}: {first['msg']}") from error

    def artifact(self, index: Descriptor) -> Artifact:
        """The record as an artifact; raises `ImageError` when it is of another index."""
        if self.index != str(index.digest):
            raise ImageError(f"the record is of {self.index}, not of {index.digest}")
        notes = {keys.CREATED: self.time, keys.VERSION: self.version, keys.VARIANT: self.variant}
        return build_artifact(
            index, RECORD_TYPE, [Part(RECORD_TYPE, encode(self.as_json()))], annotations=notes
        )


_ADAPTER = TypeAdapter(ReleaseRecord)


def attach(store: ImageStore, record: ReleaseRecord, index: Descriptor) -> bool:
    """Keep a record with its index, which must be in the store; whether anything was written.

    Raises:
        ImageError: the record is of another index, or the store refuses.
    """
    return record.artifact(index).attach_to(store)


def find_records(store: ImageStore, index: Digest) -> tuple[ReleaseRecord, ...]:
    """Every record of an index, the newest first.

    Raises:
        ImageError: the list of referrers, or a record on it, is missing, damaged, or no record.
    """
    found = [
        _read(store, referrer.descriptor)
        for referrer in store.referrers(index)
        if referrer.artifact_type == RECORD_TYPE
    ]
    mine = [(record.time, digest, record) for digest, record in found if record.index == str(index)]
    return tuple(record for _, _, record in sorted(mine, key=lambda item: item[:2], reverse=True))


def _read(store: ImageStore, artifact: Descriptor) -> tuple[Digest, ReleaseRecord]:
    what = f"{store.name}: release record {artifact.digest}"
    manifest = RawManifest.parse(store.read(artifact.digest, MANIFEST_LIMIT), what)
    if [layer.media_type for layer in manifest.layers] != [RECORD_TYPE]:
        raise ImageError(f"{what}: expected one blob of {RECORD_TYPE}")
    raw = store.read(manifest.layers[0].digest, MANIFEST_LIMIT)
    try:
        return artifact.digest, ReleaseRecord.from_json(json.loads(raw))
    except ValueError as error:
        raise ImageError(f"{what}: not JSON") from error
    except ImageError as error:
        raise ImageError(f"{what}: {error.what}") from error
