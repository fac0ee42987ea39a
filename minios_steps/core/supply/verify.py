"""Checking a release from the outside: its bytes, its signatures, and the papers of its images.

Nothing here believes what a store says of itself: all is hashed again and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.docker_form import labels_of
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.oci.verify import CONFIG_LIMIT, LAYER_LIMIT, fetch, verify_candidate
from minios_steps.core.supply.report import Check, VerifyReport, attempt
from minios_steps.core.supply.statement import CYCLONEDX, PROVENANCE
from minios_steps.core.supply.verify_papers import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.base import Variant
    from minios_steps.core.oci.index import Index
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore, RawResult
    from minios_steps.core.supply.keys import VerifyKey


def verify_release(
    store: ImageStore, ref: str | Digest, arches: Mapping[str, Arch], key: VerifyKey | None
) -> VerifyReport:
    """Check a release.

    Args:
        store: where it is.
        ref: a tag, or the index's digest.
        arches: the CPUs that are known, by name.
        key: whose signatures are asked for; None leaves them unchecked.

    Returns:
        Every check with its outcome; a check that cannot be made for what another one found is
        left out.

    Raises:
        ImageError: there is no such release, or it is no index.
        RegistryError: the registry refuses or stays away.
        CancelledError: cancelled.
    """
    name = f"{store.name}: {ref}"
    if not isinstance(ref, Digest) and store.head(ref) is None:
        raise ImageError(f"{store.name}: no tag {ref[:140]!r}")
    try:
        found = store.manifest(ref)
    except ImageError as error:
        return VerifyReport(name, str(ref), (Check("index", "digest", "bad", error.what),))
    if found.media_type not in media.INDEXES:
        raise ImageError(
            f"{name} is one image, expected an index of several",
            hint="give the tag or digest of a release",
        )
    return VerifyReport(name, str(found.digest), tuple(_Release(store, found, arches, key).checks()))


@dataclass(frozen=True)
class _Release:
    store: ImageStore
    found: RawResult
    arches: Mapping[str, Arch]
    key: VerifyKey | None

    def checks(self) -> Iterator[Check]:
        digest = self.found.digest
        what = f"{self.store.name}: {digest}"
        yield attempt("index", "digest", lambda: _same(Digest.of(self.found.raw), digest))
        yield Kept(self.store, "index", digest).signature(self.key)
        try:
            index = parse_index(self.found.raw, what)
        except ImageError as error:
            yield Check("index", "images", "bad", error.what)
            return
        yield attempt("index", "images", lambda: _images(index))
        for entry in index.entries:
            yield from self._image(index, entry)

    def _image(self, index: Index, entry: Descriptor) -> Iterator[Check]:
        of = str(entry.platform or entry.digest)
        cell_key = ""
        try:
            manifest = RawManifest.parse(fetch(self.store, entry, MANIFEST_LIMIT, "manifest"))
        except ImageError as error:
            yield Check(of, "manifest", "bad", error.what)
        else:
            said = self._said(manifest)
            cell_key = said.get(keys.CELL_KEY, "")
            variant = said.get(keys.VARIANT, "")
            yield Check(of, "manifest", "good", str(entry.digest))
            yield attempt(of, "blobs", lambda: self._blobs(manifest))
            yield _cell_key(of, index, entry, cell_key)
            yield attempt(of, "program", lambda: self._program(index, entry, cell_key, variant))
        kept = Kept(self.store, of, entry.digest)
        yield kept.signature(self.key)
        yield kept.paper(CYCLONEDX, self.key, cell_key)
        yield kept.paper(PROVENANCE, self.key, cell_key)

    def _blobs(self, manifest: RawManifest) -> str:
        fetch(self.store, manifest.config, CONFIG_LIMIT, "config")
        for layer in manifest.layers:
            fetch(self.store, layer, LAYER_LIMIT, "layer")
        return f"config and {len(manifest.layers)} layers" if len(manifest.layers) > 1 else "config and layer"

    def _said(self, manifest: RawManifest) -> Mapping[str, str]:
        """What an image says of itself, in Docker's form by labels; nothing when its config is damaged."""
        if manifest.media_type != media.DOCKER_MANIFEST:
            return manifest.annotations
        try:
            return labels_of(fetch(self.store, manifest.config, CONFIG_LIMIT, "config"), "config")
        except ImageError:
            return {}

    def _program(self, index: Index, entry: Descriptor, cell_key: str, variant: str) -> str:
        """Platform, diff id, ELF machine and linkage."""
        arch = next(
            (
                one
                for one in self.arches.values()
                if entry.platform and one.platform.platform.normalised == entry.platform.normalised
            ),
            None,
        )
        if arch is None:
            raise ImageError(f"no CPU of the configuration has the platform {entry.platform}")
        # A list of Docker's says nothing; else image and index must agree.
        asked = cast("Variant", index.annotations.get(keys.VARIANT, variant))
        found = verify_candidate(self.store, entry, arch, cell_key, asked)
        return f"{arch.name}, ELF machine {found.program.machine}, {variant}"


def _same(found: Digest, wanted: Digest) -> str:
    if found != wanted:
        raise ImageError(f"expected {wanted}, its bytes have {found}")
    return str(wanted)


def _images(index: Index) -> str:
    """One image for each platform, and nothing else."""
    platforms = [entry.platform.normalised for entry in index.entries if entry.platform]
    if not platforms or len(platforms) != len(index.entries) or len(set(platforms)) != len(platforms):
        raise ImageError("expected one image for each platform")
    return ", ".join(str(entry.platform) for entry in index.entries)


def _cell_key(of: str, index: Index, entry: Descriptor, on_manifest: str) -> Check:
    """Index and image must tell the same key; a list of Docker's has no place for it."""
    if index.media_type == media.DOCKER_INDEX and on_manifest:
        return Check(of, "cell key", "good", f"{on_manifest}, as the image says")
    on_index = entry.annotations.get(keys.CELL_KEY, "")
    if not on_manifest or not on_index:
        where = "image" if on_index else "index"
        return Check(of, "cell key", "missing", f"the {where} does not tell it")
    if on_manifest != on_index:
        return Check(of, "cell key", "bad", f"the index says {on_index:.80}, the image {on_manifest:.80}")
    return Check(of, "cell key", "good", on_manifest)
