"""What the tests of OCI layouts share: releases to publish, and a look at what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyimage import make_image

from minios_steps.core.oci.index import build_index

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.oci.image import Image
    from minios_steps.core.oci.index import Index
    from minios_steps.core.oci.layout import Layout


class Release:
    """An index over images, ready to be published."""

    def __init__(self, folder: Path, *platforms: str, note: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.images: list[Image] = [make_image(folder, platform=platform, key=note) for platform in platforms]
        self.index: Index = build_index([image.descriptor for image in self.images], {"note": note})

    def publish(self, layout: Layout, *tags: str) -> bool:
        return layout.publish(
            dict.fromkeys(tags, self.index.descriptor),
            raw=[self.index.raw, *(raw for image in self.images for raw in (image.config, image.manifest))],
            files={image.layer.digest: image.layer.path for image in self.images},
        )


def sound(layout: Layout) -> dict[str, str]:
    """The tags and their digests, after everything below them was hashed."""
    for descriptor in layout.tags().values():
        layout.check(descriptor)
    return {tag: str(descriptor.digest) for tag, descriptor in layout.tags().items()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
