"""`BuildImage`: the layer becomes an OCI image; no daemon anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot import config
from buildbot.process.results import SUCCESS

from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.image import build_image
from minios_steps.core.tarball import LayerFile
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.config.arch import Arch

BACKENDS = ("oci",)


class BuildImage(MiniosStep):
    """Write the image's config and manifest beside the layer that `StageRootfs` packed.

    Args:
        arch: the CPU, for the platform.
        variant: `static` or `dynamic`; may be a renderable.
        labels: the image's labels; may be a renderable.
        command: the image's default command.
        backend: `oci`: packed on the master, bit for bit the same every time.

    Sets the property `image`: the descriptor, and where config and manifest are.
    """

    name = "image"
    renderables = ("variant", "labels", "command_line")

    def __init__(
        self,
        *,
        arch: Arch,
        variant: Any,
        labels: Any = None,
        command: Any = ("/bin/sh",),
        backend: str = "oci",
        **kwargs: Any,
    ) -> None:
        if backend not in BACKENDS:
            config.error(f"BuildImage: unknown backend {backend!r}: there is {', '.join(BACKENDS)}")
        super().__init__(**kwargs)
        self.arch = arch
        self.variant = variant
        self.labels: Mapping[str, str] = labels or {}
        self.command_line = command
        self.backend = backend

    async def work(self) -> int:
        """Build config and manifest and keep their exact bytes."""
        layer = LayerFile.from_json(self.getProperty("layer"))
        image = await self.in_thread(
            build_image,
            layer,
            self.arch.platform.platform,
            epoch=int(self.getProperty("epoch", 0)),
            command=tuple(self.command_line),
            labels=dict(self.labels),
            annotations={
                keys.CELL_KEY: str(self.getProperty("cell_key", "")),
                keys.SOURCE_SHA256: str(self.getProperty("source_sha256", "")),
                keys.VARIANT: str(self.variant),
            },
        )
        folder = Path(self.getProperty("cell_dir"))
        (folder / "config.json").write_bytes(image.config)
        (folder / "manifest.json").write_bytes(image.manifest)
        self.setProperty("image", image.descriptor.as_json(), self.name)
        size = (len(image.config) + len(image.manifest) + layer.size) / 1e6
        self.summary = f"{image.descriptor.platform} image {image.descriptor.digest.short}, {size:.2f} MB"
        return int(SUCCESS)
