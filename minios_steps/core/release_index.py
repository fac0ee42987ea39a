"""What the index of a release says of itself, and what the one before it has."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.docker_form import labels_of
from minios_steps.core.oci.index import Index, parse_index
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.oci.verify import CONFIG_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.policy import Decision
    from minios_steps.core.release_target import ReleaseTarget
    from minios_steps.core.version import Version


def index_annotations(
    project: Project, version: Version, variant: Variant, decision: Decision
) -> dict[str, str]:
    """The annotations of a release's index; the same inputs give the same ones."""
    image = project.minios.image
    told = {
        keys.TITLE: image.title,
        keys.DESCRIPTION: image.description,
        keys.VERSION: str(version),
        keys.LICENSES: image.licenses,
        keys.URL: image.url,
        keys.VENDOR: image.vendor,
        keys.VARIANT: variant,
        keys.SOURCE_SHA256: project.release(version).sha256,
        keys.LEFT_OUT: decision.left_out_text,
        keys.CARRIED_OVER: decision.carried_text,
    }
    return {key: value for key, value in told.items() if value}


def entry_annotations(cell_key: str) -> dict[str, str]:
    """The annotations of one image's entry in an index."""
    return {keys.CELL_KEY: cell_key}


def previous_entries(
    target: ReleaseTarget,
    project: Project,
    seen: Mapping[str, Descriptor],
    tags: Sequence[str],
    version: Version,
    variant: Variant,
) -> dict[str, Descriptor]:
    """The entries of the index that stands for a version and variant now, by arch name.

    Args:
        target: where it is.
        project: says which platform is whose.
        seen: what the tags point at.
        tags: those of the release; the first that leads to an index of it counts.
        version: of the release.
        variant: of the release.

    Returns:
        Nothing where somebody else's index, or one of another form, is under the tags; and
        without an arch that is twice in it.

    Raises:
        ImageError: the index is damaged.
    """
    platforms = {arch.platform.platform.normalised: name for name, arch in project.arches.items()}
    for tag in tags:
        if tag not in seen or seen[tag].media_type != target.index_type:
            continue
        digest = seen[tag].digest
        index = parse_index(target.store.read(digest, MANIFEST_LIMIT), f"{target.store.name}: {digest}")
        facts = _facts(target.store, index)
        if facts.get(keys.VERSION) == str(version) and facts.get(keys.VARIANT) == variant:
            named = [
                (platforms[entry.platform.normalised], entry)
                for entry in index.entries
                if entry.platform and entry.platform.normalised in platforms
            ]
            times = Counter(name for name, _ in named)
            return {name: entry for name, entry in named if times[name] == 1}
    return {}


def _facts(store: ImageStore, index: Index) -> Mapping[str, str]:
    """What an index says of itself; of Docker's, which cannot, what its first image does."""
    if index.media_type == media.INDEX or not index.entries:
        return index.annotations
    first = index.entries[0].digest
    try:
        manifest = RawManifest.parse(store.read(first, MANIFEST_LIMIT), str(first))
        return labels_of(store.read(manifest.config.digest, CONFIG_LIMIT), str(manifest.config.digest))
    except ImageError:
        return {}
