"""The smoke test of an image that was built before: of its own bytes, by the checks that fit it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.oci.verify import LAYER_LIMIT, verify_candidate
from minios_steps.core.smoke_checks import smoke_checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.base import Variant
    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.smoke_checks import SmokeCheck

# BusyBox lists them as applets; in an image the one is the file itself, and the other is left out.
_NO_LINKS = ("busybox", "linuxrc")
_LISTED = f'"$BB" --list | sed {" ".join(f"-e /^{name}$/d" for name in _NO_LINKS)}'


@dataclass(frozen=True)
class Retest:
    """What the test of an image needs.

    Args:
        layer: the image's gzipped layer, as it was read.
        interpreter: the loader that the program names; empty for a static one.
        applets: the names that the image has of BusyBox.
    """

    layer: bytes
    interpreter: str
    applets: tuple[str, ...]


@dataclass(frozen=True)
class _Once:
    """A source each of whose blobs is read once: a registry sends them a second time otherwise."""

    source: BlobSource
    kept: dict[Digest, bytes] = field(default_factory=dict)

    def read(self, digest: Digest, limit: int) -> bytes:
        """A blob; see `BlobSource`."""
        if digest not in self.kept:
            self.kept[digest] = self.source.read(digest, limit)
        return self.kept[digest]


def fetch_image(source: BlobSource, descriptor: Descriptor, arch: Arch, record: CellRecord) -> Retest:
    """Read an image by its digest, verify every byte of it, and see what is in it.

    Args:
        source: where its blobs are.
        descriptor: of its manifest.
        arch: the CPU it must be for.
        record: of its cell: the image must have its key and variant.

    Raises:
        MiniosError: as `verify_candidate`.
    """
    once = _Once(source)
    variant: Variant = "dynamic" if record.variant == "dynamic" else "static"
    found = verify_candidate(once, descriptor, arch, str(record.key), variant)
    manifest = RawManifest.parse(once.read(descriptor.digest, MANIFEST_LIMIT))
    layer = once.read(manifest.layers[0].digest, LAYER_LIMIT)
    applets = tuple(name for name in found.names if name not in _NO_LINKS)
    return Retest(layer, found.program.interpreter, applets)


def retest_checks(applets: Iterable[str], smoke: Iterable[Mapping[str, Any]]) -> tuple[SmokeCheck, ...]:
    """The checks of an image that was built before.

    Args:
        applets: the names that it has.
        smoke: how its checks ended when it was built (`CellRecord.smoke`): one that was skipped, or
            not made, because of the configuration is skipped again, as nobody kept that.
    """
    before = {check["name"]: check for check in smoke}

    def fitted(check: SmokeCheck) -> SmokeCheck:
        if check.name == "applets":
            return dataclasses.replace(check, script=_LISTED)
        made = before.get(check.name)
        if not check.skip and made is None and check.symbols:
            return dataclasses.replace(check, skip="was not made when the image was built")
        if not check.skip and made is not None and made["outcome"] == "skipped":
            return dataclasses.replace(check, skip=str(made["detail"]))
        return check

    return tuple(fitted(check) for check in smoke_checks(tuple(applets)))
