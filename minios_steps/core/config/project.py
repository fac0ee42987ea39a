"""The whole configuration as one value, and the questions the build asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.config.base import BACKENDS
from minios_steps.core.errors import ConfigError
from minios_steps.core.kconfig import Fragment
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.base import Backend, Role, Variant
    from minios_steps.core.config.minios import Minios
    from minios_steps.core.config.sources import Release, Sources
    from minios_steps.core.config.workers import Workers
    from minios_steps.core.upstream.discoveries import Discovered, Discoveries


NEEDS_REGISTRY = "the worker's engine hands images over through a registry, and none is the destination"


@dataclass(frozen=True, repr=False)
class Project:
    """A configuration folder that was read and checked.

    Args:
        root: the folder.
        minios: the matrix, tags and policy.
        arches: every arch that has a file, by name, in the order of names.
        workers: who compiles.
        sources: the pinned releases.
        discoveries: the releases that are not pinned but were found and verified; they are built
            as candidates, until they are approved.
    """

    root: Path
    minios: Minios
    arches: Mapping[str, Arch]
    workers: Workers
    sources: Sources
    discoveries: Discoveries | None = None

    def __repr__(self) -> str:
        """Short: Buildbot logs each step with all its arguments, several times."""
        return f"Project({str(self.root)!r})"

    @property
    def skeleton(self) -> Path:
        """The folder of the root file system's skeleton."""
        return self.root / "rootfs"

    def arch(self, name: str) -> Arch:
        """The arch of a name.

        Raises:
            ConfigError: there is none; the message lists those that there are.
        """
        if name not in self.arches:
            raise ConfigError(f"unknown arch {name[:80]!r}: the configuration has {', '.join(self.arches)}")
        return self.arches[name]

    def role(self, arch: str) -> Role:
        """An arch's role; one without a role in `minios.yaml` is a candidate."""
        return self.minios.arches.get(arch, "candidate")

    @property
    def nightly_arches(self) -> tuple[str, ...]:
        """Every arch that is built: required, optional and candidate ones, but none that is retired."""
        return tuple(name for name in self.arches if self.role(name) != "retired")

    def backend(self, arch: str, asked: str = "") -> Backend:
        """What makes an arch's images: as asked, else as its file says, else as `minios.yaml` does.

        Raises:
            ConfigError: there is no such backend.
        """
        found = asked or self.arches[arch].backend or self.minios.image.backend
        for backend in BACKENDS:
            if backend == found:
                return backend
        raise ConfigError(f"unknown backend {found!r}: there are {' and '.join(BACKENDS)}")

    def check_backend(self, arches: Iterable[str], asked: str, *, registry: bool) -> None:
        """Make sure that the images of some arches can be made as asked.

        Args:
            arches: their names.
            asked: a backend; empty for what the configuration says.
            registry: whether releases go to one.

        Raises:
            ConfigError: there is no such backend, or it is `docker` and there is no registry.
        """
        for arch in arches:
            if self.backend(arch, asked) == "docker" and not registry:
                raise ConfigError(
                    f"backend docker for {arch}: {NEEDS_REGISTRY}",
                    hint="write `destination: {kind: registry, repository: HOST/REPO}` in minios.yaml",
                )

    def version(self, text: str) -> Version:
        """The version that `newest` or the number of a pinned or discovered release stands for.

        Raises:
            ConfigError: there is no such release; the message lists those that are.
        """
        if text == "newest":
            return self.sources.newest
        if text not in self.sources.releases and text not in (found := self.discovered):
            pinned = ", ".join(str(item) for item in self.pinned)
            others = f", and {', '.join(found)} as candidates" if found else ""
            raise ConfigError(
                f"version {text!r} is not pinned: the configuration has {pinned}{others}",
                hint="use one of these, `newest`, or add it to sources.yaml with its sha256",
            )
        return Version.parse(text)

    @property
    def pinned(self) -> tuple[Version, ...]:
        """Every pinned version, oldest first."""
        return tuple(sorted(Version.parse(text) for text in self.sources.releases))

    @property
    def discovered(self) -> Mapping[str, Discovered]:
        """The releases that were discovered and that nobody has pinned since, as they are now."""
        found = self.discoveries.read() if self.discoveries else {}
        return {text: item for text, item in found.items() if text not in self.sources.releases}

    @property
    def released(self) -> tuple[Version, ...]:
        """Every version that may own release tags: the pinned and the approved, oldest first."""
        approved = (Version.parse(text) for text, item in self.discovered.items() if item.approved)
        return tuple(sorted({*self.pinned, *approved}))

    def release(self, version: Version) -> Release:
        """A pinned or discovered release.

        Raises:
            ConfigError: there is no such release.
        """
        text = str(self.version(str(version)))
        return self.sources.releases.get(text) or self.discovered[text].release

    def sources_of(self, version: Version) -> Sources:
        """The sources, in which this version is pinned, also when it was discovered only."""
        releases = {**self.sources.releases, str(version): self.release(version)}
        return self.sources.model_copy(update={"releases": releases})

    def patches(self, version: Version) -> tuple[Path, ...]:
        """The patches of a version, in the order they are applied."""
        return tuple(self.root / "patches" / name for name in self.release(version).patches)

    def fragments(self, arch: Arch, variant: Variant, version: Version) -> tuple[Fragment, ...]:
        """The kconfig fragments of a cell; a later one wins.

        The order is base, libc, variant, version, arch file, the arch's own `kconfig`, and
        last the one generated from `page_size`. Those of a version and an arch are optional.

        Raises:
            ConfigError: a fragment's file is missing or cannot be read.
        """
        names = ("base", f"libc/{arch.libc}", variant)
        found = [self._fragment(name) for name in names]
        found += [
            self._fragment(name)
            for name in (f"version/{version}", f"arch/{arch.name}")
            if self._fragment_path(name).exists()
        ]
        if arch.kconfig:
            found.append(Fragment(f"arches/{arch.name}.yaml, kconfig", arch.kconfig))
        return (*found, page_size_fragment(arch))

    def _fragment_path(self, name: str) -> Path:
        return self.root / "kconfig" / f"{name}.config"

    def _fragment(self, name: str) -> Fragment:
        path = self._fragment_path(name)
        try:
            return Fragment(f"kconfig/{name}.config", path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            raise ConfigError(f"{path}: the kconfig fragment cannot be read: {why}") from error


def page_size_fragment(arch: Arch) -> Fragment:
    """The fragment that makes the linker align segments for the arch's largest page.

    A program aligned for 4 KiB pages does not start on a kernel with larger ones.
    """
    text = f'CONFIG_EXTRA_LDFLAGS="-Wl,-z,max-page-size={arch.page_size}"\n'
    return Fragment(f"generated from page_size in arches/{arch.name}.yaml", text)
