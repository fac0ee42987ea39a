"""What a run released, put into the local Docker engine: the images of the platform it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.digest import Digest
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.docker_archive import LoadableImage
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.model import MANIFEST_LIMIT
from minios_steps.core.registry.reference import check_repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.platform import Platform

    from .engine import Engine


@dataclass(frozen=True)
class Loaded:
    """An image that is in the engine now.

    Args:
        names: what it is called in there: `minios:1.38.0`.
        platform: what it runs on.
        digest: of its manifest in the release.
    """

    names: tuple[str, ...]
    platform: str
    digest: str

    @property
    def run(self) -> str:
        """The command that runs it."""
        return f"docker run --rm -it {self.names[0]}"

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return {
            "names": list(self.names),
            "platform": self.platform,
            "digest": self.digest,
            "run": self.run,
        }


def check_loadable(engine: Engine, project: Project, arches: Iterable[str]) -> None:
    """Make sure, before anything is built, that something for the engine will be.

    Args:
        engine: where the images shall go.
        project: the configuration.
        arches: what is asked for.

    Raises:
        MiniosError: no image is going to be for the engine's platform, or cannot be called so.
    """
    check_repository(project.minios.image.name)
    platforms = [project.arches[name].platform.platform for name in arches]
    if not any(_fits(engine.platform, platform) for platform in platforms):
        told = ", ".join(dict.fromkeys(map(str, platforms)))
        raise MiniosError(
            f"the Docker engine runs {engine.platform}, and this run builds {told}",
            hint="leave --load away, or name an arch of the engine's platform",
        )


def load_released(
    engine: Engine, store: ImageStore, name: str, releases: Sequence[dict[str, Any]]
) -> Iterator[Loaded]:
    """Put the engine's image of every release into the engine.

    Args:
        engine: where to.
        store: has the releases.
        name: what the image shall be called; the release's tags follow it.
        releases: reports in JSON form (`ReleaseReport.as_json`); those without an index are passed over.

    Raises:
        MiniosError: a release has no image for the engine, or it cannot be read or loaded.
    """
    for release in releases:
        if not release["index"]:
            continue
        index = parse_index(store.read(Digest.parse(release["index"]), MANIFEST_LIMIT), release["index"])
        entry = _pick(engine.platform, index.entries)
        if entry is None:
            raise MiniosError(
                f"{release['version']} {release['variant']} has no image for the Docker engine, "
                f"which runs {engine.platform}"
            )
        image = LoadableImage.read(store, entry)
        names = tuple(f"{name}:{tag}" for tag in release["tags"])
        engine.load(image.archive(names), names, image.diff_ids)
        yield Loaded(names, str(entry.platform), str(entry.digest))


def _pick(wanted: Platform, entries: Iterable[Descriptor]) -> Descriptor | None:
    return next((entry for entry in entries if entry.platform and _fits(wanted, entry.platform)), None)


def _fits(engine: Platform, image: Platform) -> bool:
    """An engine says no variant; each runs the default one."""
    return image.normalised == engine.normalised
