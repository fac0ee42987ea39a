"""Copying an image or index from store to store: every platform, all that refers to it, bytes untouched."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import RawManifest, decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore, RawResult

SIDE_TAGS = (".sig", ".att", ".sbom")
"""How the tags end under which cosign keeps what is about the manifest `sha256-HEX`."""
_DEPTH = 16
"""How deep indexes, and what refers to what refers, may be nested."""


@dataclass(frozen=True)
class Step:
    """One manifest that is in the target with everything below it.

    Args:
        kind: `image`, `index`, or `referrer` for what is about one of these.
        about: an image's platform, a referrer's artifact type or tag; may be empty.
        digest: the manifest's.
        sent: blobs whose bytes were sent for it.
        bytes: of these blobs.
    """

    kind: str
    about: str
    digest: Digest
    sent: int
    bytes: int


@dataclass(frozen=True)
class Copied:
    """What a copy came to.

    Args:
        digest: of source and target alike.
        images: how many image manifests it has.
        referrers: how many manifests are about them or the index.
        sent: blobs whose bytes were sent.
        bytes: of these blobs.
        mounted: blobs that the registry took from the source's repository itself.
        there: blobs that the target had before.
        manifests: how many manifests were written.
        moved: whether a tag moved.
    """

    digest: Digest
    images: int
    referrers: int
    sent: int
    bytes: int
    mounted: int
    there: int
    manifests: int
    moved: bool


class Copier:
    """One copy; what is in the target already is neither read nor sent.

    Children come before their index, what refers to a manifest right after it, and the tag
    last: until then nobody sees the target change, and a copy that failed goes on where it was.

    Args:
        source: where from.
        target: where to.
        path_of: where the source has a blob as a file; None to go by a file of one's own.
        mount: has the target's registry take a blob from the source's repository; whether it did.
        report: called after each manifest.
    """

    def __init__(
        self,
        source: ImageStore,
        target: ImageStore,
        *,
        path_of: Callable[[Digest], Path] | None = None,
        mount: Callable[[Digest], bool] = lambda _: False,
        report: Callable[[Step], None] = lambda _: None,
    ) -> None:
        self.source = source
        self.target = target
        self._path_of = path_of
        self._mount = mount
        self._report = report
        self._blobs: dict[Digest, str] = {}
        self._seen: set[Digest] = set()
        self._steps: list[Step] = []
        self._written = 0
        self._moved = False

    def copy(self, ref: str | Digest, tag: str) -> Copied:
        """Copy what a tag or digest of the source is, to a tag of the target; then read it back.

        Raises:
            ImageError: the source is incomplete or damaged; the target reads back differently,
                or has signatures that the source lacks.
            RegistryError: a registry refuses or stays away.
            CancelledError: cancelled.
        """
        found = self.source.manifest(ref)
        self._manifest(found, "", _DEPTH)
        self._tag(tag, found)
        self._read_back(tag, found)
        count = list(self._blobs.values()).count
        kinds = [step.kind for step in self._steps]
        return Copied(
            digest=found.digest,
            images=kinds.count("image"),
            referrers=kinds.count("referrer"),
            sent=count("sent"),
            bytes=sum(step.bytes for step in self._steps),
            mounted=count("mounted"),
            there=count("there"),
            manifests=self._written,
            moved=self._moved,
        )

    def _manifest(self, found: RawResult, about: str, depth: int, *, refers: bool = False) -> None:
        """A manifest with everything below it and everything about it."""
        if found.digest in self._seen:
            return
        self._seen.add(found.digest)
        if not depth:
            raise ImageError(f"{self.source.name}: {found.digest} is more than {_DEPTH} manifests deep")
        told = decode(found.raw, str(found.digest))
        sent: list[int] = []
        if found.media_type in media.INDEXES:
            for entry in parse_index(found.raw, str(found.digest)).entries:
                child = self.source.manifest(entry.digest)
                _check_entry(entry, child)
                self._manifest(child, str(entry.platform or ""), depth - 1, refers=refers)
        elif found.media_type in media.MANIFESTS:
            manifest = RawManifest.parse(found.raw, str(found.digest))
            sent = [self._blob(blob) for blob in dict.fromkeys((manifest.config, *manifest.layers))]
        else:
            raise ImageError(f"{found.digest}: neither an image nor an index: {found.media_type:.80}")
        # A manifest that names a subject must be on its list, whether or not the registry keeps that.
        self._written += (
            self.target.attach(found.raw)
            if "subject" in told
            else self.target.put_manifest(found.raw, found.media_type)
        )
        kind = "referrer" if refers else "index" if found.media_type in media.INDEXES else "image"
        step = Step(kind, about, found.digest, sum(map(bool, sent)), sum(sent))
        self._steps.append(step)
        self._report(step)
        self._about(found.digest, depth - 1)

    def _about(self, subject: Digest, depth: int) -> None:
        """What refers to a manifest: by naming it, or by cosign's tags."""
        for referrer in self.source.referrers(subject):
            found = self.source.manifest(referrer.descriptor.digest)
            self._manifest(found, referrer.artifact_type, depth, refers=True)
        for ending in SIDE_TAGS:
            tag = f"sha256-{subject.hex}{ending}"
            if self.source.head(tag) is not None:
                found = self.source.manifest(tag)
                self._check_side_tag(tag, found)
                self._manifest(found, tag, depth, refers=True)
                self._tag(tag, found)

    def _blob(self, blob: Descriptor) -> int:
        """Make sure of a blob; how many bytes were sent for it."""
        if blob.digest in self._blobs:
            return 0
        if self.target.has_blob(blob.digest):
            way = "there"
        elif self._mount(blob.digest):
            way = "mounted"
        else:
            way = "sent" if self._send(blob) else "there"
        self._blobs[blob.digest] = way
        return blob.size if way == "sent" else 0

    def _send(self, blob: Descriptor) -> bool:
        if self._path_of:
            return self.target.put_blob(self._path_of(blob.digest), blob.digest)
        with tempfile.TemporaryDirectory(prefix="minios-copy-") as folder:
            path = Path(folder) / blob.digest.hex
            with path.open("wb") as stream:
                for block in self.source.open_blob(blob.digest, blob.size):
                    stream.write(block)
            return self.target.put_blob(path, blob.digest)

    def _check_side_tag(self, tag: str, found: RawResult) -> None:
        """Refuse to lose a signature that the target has: cosign keeps all of them in one manifest."""
        old = self.target.head(tag)
        if old is None or old.digest == found.digest:
            return
        there = RawManifest.parse(self.target.manifest(tag).raw, tag).layers
        ours = {layer.digest for layer in RawManifest.parse(found.raw, tag).layers}
        if any(layer.digest not in ours for layer in there):
            raise ImageError(
                f"{self.target.name}:{tag} has what {self.source.name}:{tag} lacks",
                hint="copying would lose it: delete that tag first, or sign again afterwards",
            )

    def _tag(self, tag: str, found: RawResult) -> None:
        self._moved |= self.target.set_tags([tag], found.raw, found.media_type)

    def _read_back(self, tag: str, found: RawResult) -> None:
        """Read every manifest from the target again."""
        back = self.target.manifest(tag)
        if back.digest != found.digest or back.raw != found.raw:
            raise ImageError(f"{self.target.name}:{tag}: copied {found.digest}, read back {back.digest}")
        for step in self._steps:
            self.target.manifest(step.digest)


def _check_entry(entry: Descriptor, child: RawResult) -> None:
    if (entry.media_type, entry.size) != (child.media_type, len(child.raw)):
        raise ImageError(
            f"{entry.digest}: its index says {entry.media_type:.80} of {entry.size:,} bytes, "
            f"it is {child.media_type:.80} of {len(child.raw):,}"
        )
