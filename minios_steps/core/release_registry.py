"""Releases in a registry: children and index by digest, then the tags one by one, then read back."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.errors import ImageError, PolicyError, TagMovedError
from minios_steps.core.oci import media
from minios_steps.core.oci.model import RawManifest
from minios_steps.core.oci.verify import LAYER_LIMIT
from minios_steps.core.registry.claim import DEFAULT_TIMES, Claim, Holder, Times, claimed
from minios_steps.core.tags import render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.registry.connect import Connection
    from minios_steps.core.registry.store import RegistryStore
    from minios_steps.core.release_target import Release, ReleasedImage

_REBASES = 3


@dataclass(frozen=True)
class RegistryTarget:
    """A repository of a registry; see `ReleaseTarget`.

    Args:
        connection: the registry, open.
        local: may have a candidate's blobs where the registry cannot mount them.
        holder: who claims the right to move tags.
        times: of that claim.
        cancelled: asked while waiting.
    """

    connection: Connection
    local: CandidateStore
    holder: Holder
    times: Times = DEFAULT_TIMES
    cancelled: Callable[[], bool] = never

    @property
    def store(self) -> RegistryStore:
        """The release repository."""
        return self.connection.release

    @property
    def index_type(self) -> str:
        """As the configuration says."""
        return media.DOCKER_INDEX if self.connection.destination.format == "docker" else media.INDEX

    @property
    def retries(self) -> int:
        """None when a race is to stop the release."""
        return _REBASES if self.connection.destination.on_race == "rebase" else 0

    def candidates(self, arch: str) -> BlobSource:
        """The arch's staging repository."""
        return self.connection.staging(arch)

    def look(self, tags: Sequence[str]) -> dict[str, Descriptor]:
        """What tags point at now."""
        found = ((tag, self.store.head(tag)) for tag in tags)
        return {tag: descriptor for tag, descriptor in found if descriptor}

    def publish(self, release: Release) -> bool:
        """Bring everything there, then move the tags while nobody else does, then read it back."""
        self._check_immutable(release)
        store = self.store
        for image in release.images:
            self._bring(store, image)
        store.put_manifest(release.index.raw, release.index.media_type)
        with ExitStack() as stack:
            claim = None
            if release.to_move:
                claim = stack.enter_context(claimed(store, self.holder, self.times, self.cancelled))
                self._check_unmoved(store, release, release.to_move, ())
            # Not before: a record would tell of tags that somebody else had moved by then.
            for artifact in release.artifacts:
                artifact.attach_to(store)
            if claim:
                self._move(store, release, claim)
            self._read_back(store, release)
        return bool(release.to_move)

    def _check_immutable(self, release: Release) -> None:
        patterns = self.connection.destination.immutable
        fixed = {render(pattern, release.version) for pattern in patterns}
        for tag in release.to_move:
            if tag in fixed and tag in release.seen:
                found = release.seen[tag].digest
                raise PolicyError(
                    f"{self.store.name}: tag {tag!r} must not move: it is {found.short},"
                    f" the release is {release.index.descriptor.digest.short}",
                    hint="destination.immutable names it; release another version, or delete the tag first",
                )

    def _bring(self, store: RegistryStore, image: ReleasedImage) -> None:
        """Make sure that the repository has an image: its blobs, then its manifest by digest."""
        digest = image.descriptor.digest
        if image.carried:
            if store.head(digest) is None:
                raise ImageError(
                    f"{store.name}: {image.arch}'s image {digest}, which the index before has, is gone",
                    hint="build it again, or set policy.carry_over to false",
                )
            return
        staging = self.connection.staging(image.arch)
        raw = staging.manifest(digest)
        manifest = RawManifest.parse(raw.raw, f"{staging.name}: {digest}")
        for blob in (*manifest.layers, manifest.config):
            if not store.has_blob(blob.digest):
                source = self._source(staging, blob.digest)
                store.put_blob(source, blob.digest, mount_from=staging.repository.name)
        store.put_manifest(raw.raw, raw.media_type)

    def _source(self, staging: RegistryStore, digest: Digest) -> Path | bytes:
        path = self.local.layout.blob_path(digest)
        return path if path.is_file() else staging.read(digest, LAYER_LIMIT)

    def _move(self, store: RegistryStore, release: Release, claim: Claim) -> None:
        """Move the tags, each only from where it was when the release was decided."""
        for number, tag in enumerate(release.to_move):
            claim.check()
            self._check_unmoved(store, release, [tag], release.to_move[:number])
            store.set_tags([tag], release.index.raw, release.index.media_type)
            found = store.head(tag)
            if found is None or found.digest != release.index.descriptor.digest:
                raise _moved(store, tag, found, release.to_move[:number])

    def _check_unmoved(
        self, store: RegistryStore, release: Release, tags: Sequence[str], done: Sequence[str]
    ) -> None:
        now = self.look(tags)
        for tag in tags:
            before, found = release.seen.get(tag), now.get(tag)
            if (found and found.digest) != (before and before.digest):
                raise _moved(store, tag, found, done)

    def _read_back(self, store: RegistryStore, release: Release) -> None:
        """Everything that the tags lead to is there: tags, index, manifests, blobs."""
        for tag in release.tags:
            if store.manifest(tag).raw != release.index.raw:
                raise ImageError(f"{store.name}: tag {tag!r} does not read back as it was written")
        for image in release.images:
            what = f"{store.name}: {image.descriptor.digest}"
            manifest = RawManifest.parse(store.manifest(image.descriptor.digest).raw, what)
            for blob in (manifest.config, *manifest.layers):
                if not store.has_blob(blob.digest):
                    raise ImageError(f"{what}: its blob {blob.digest} is not there any more")


def _moved(store: RegistryStore, tag: str, found: Descriptor | None, done: Sequence[str]) -> TagMovedError:
    told = f"it is {found.digest.short} now" if found else "it is gone"
    moved = f"; {', '.join(done)} had moved by then" if done else "; nothing was moved"
    return TagMovedError(
        f"{store.name}: somebody else moved tag {tag!r} meanwhile: {told}{moved}",
        hint="look at what is there, then run it again; destination.on_race: rebase does so by itself",
    )
