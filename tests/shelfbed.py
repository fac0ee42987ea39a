"""A signed release that tests spoil before it is verified."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from supplybed import REFERENCE, TAG, make_key, make_release

from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.media import INDEX
from minios_steps.core.oci.model import Descriptor, RawManifest, encode
from minios_steps.core.supply.attachments import describe
from minios_steps.core.supply.cosign import attestation_part, build_attached
from minios_steps.core.supply.dsse import sign_statement
from minios_steps.core.supply.papers import Papers
from minios_steps.core.supply.verify import verify_release

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.index import Index
    from minios_steps.core.supply.keys import SigningKey, VerifyKey
    from minios_steps.core.supply.material import Material
    from minios_steps.core.supply.report import VerifyReport

AMD, ARM = "linux/amd64", "linux/arm64"


class Shelf:
    """A signed release in a layout, and ways to spoil it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.release = make_release(folder)
        self.key = make_key()
        self.store = LayoutStore(Layout(folder / "out"))
        self.release.put_into(self.store)

    @property
    def image(self) -> Descriptor:
        """The one of linux/amd64."""
        return self.release.images[0]

    @property
    def material(self) -> Material:
        record = self.release.records[0]
        return describe(self.image, record.inputs, self.release.project, self.store, {})

    def sign(self, key: SigningKey | None = None) -> Shelf:
        self.release.attach(self.store, key or self.key)
        return self

    def plain(self) -> Shelf:
        self.release.attach(self.store, None)
        return self

    def verify(self, key: VerifyKey | None = None, *, unsigned: bool = False) -> VerifyReport:
        chosen = None if unsigned else key or self.key.public
        return verify_release(self.store, TAG, self.release.project.arches, chosen)

    def faults(self, *, unsigned: bool = False) -> list[tuple[str, str, str]]:
        return [(one.of, one.what, one.outcome) for one in self.verify(unsigned=unsigned).faults]

    def detail(self, of: str, what: str) -> str:
        return next(one.detail for one in self.verify().checks if (one.of, one.what) == (of, what))

    def spoil(self, digest: Digest, change: Callable[[bytes], bytes] = lambda data: data[:-1] + b"!") -> None:
        """Change a blob's file, and leave its name."""
        path = self.store.layout.blob_path(digest)
        path.write_bytes(change(path.read_bytes()))

    def forget(self, subject: Digest, *, kind: str = "", tag: bool = False) -> None:
        """Take the list of referrers away, or one of cosign's tags."""
        path = self.store.layout.root / "index.json"
        told = json.loads(path.read_bytes())
        gone = f"sha256-{subject.hex}" + (f".{kind}" if tag else "")
        told["manifests"] = [
            one
            for one in told["manifests"]
            if one["annotations"]["org.opencontainers.image.ref.name"] != gone
        ]
        path.write_bytes(encode(told))

    def move(self, index: Index) -> None:
        """Let the tag be another index."""
        self.store.put_manifest(index.raw, INDEX)
        self.store.set_tags([TAG], index.raw, INDEX)

    def manifest(self, digest: Digest) -> RawManifest:
        return RawManifest.parse(self.store.manifest(digest).raw)

    def attest(self, *statements: Any, key: SigningKey | None = None) -> None:
        """Put these, and no others, under the image's tag and on its list."""
        chosen = key or self.key
        parts = [
            attestation_part(sign_statement(one.encode(), chosen), one.predicate_type) for one in statements
        ]
        self.forget(self.image.digest)
        build_attached(self.image, "att", parts).attach_to(self.store)
        for made in Papers(self.store, self.key, REFERENCE).signature(self.image):
            made.attach_to(self.store)
