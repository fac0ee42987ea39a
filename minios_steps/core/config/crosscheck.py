"""What no single file can be checked for: names that must agree between the configuration's files."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from minios_steps.core import kconfig
from minios_steps.core.config.arch_name import check_arch_name
from minios_steps.core.config.base import Variant
from minios_steps.core.config.project import NEEDS_REGISTRY
from minios_steps.core.errors import ConfigError, KconfigError, MiniosError
from minios_steps.core.tags import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from minios_steps.core.config.project import Project
    from minios_steps.core.config.yamlfile import Location, YamlFile
    from minios_steps.core.platform import Platform
    from minios_steps.core.version import Version


@dataclass(frozen=True)
class Files:
    """The files a project was read from, by their names below its folder."""

    by_name: Mapping[str, YamlFile]

    def problem(self, name: str, at: Location, what: str) -> str:
        """`FILE:LINE: KEY: what`."""
        return self.by_name[name].problem(at, what)


def cross_check(project: Project, files: Files) -> list[str]:
    """Every disagreement between the files, as `FILE:LINE: KEY: what`."""
    checks: tuple[Callable[[Project, Files], Iterable[str]], ...] = (
        _arch_names,
        _platforms,
        _known_arches,
        _versions,
        _tags,
        _registry,
        _backends,
        _candidate_tags,
        _release_keys,
        _patches,
        _fragments,
    )
    return [problem for check in checks for problem in check(project, files)]


def _arch_names(project: Project, files: Files) -> Iterator[str]:
    for stem, arch in project.arches.items():
        if arch.name == stem:
            continue
        what = f"should be {stem!r}, as the file is named"
        try:
            check_arch_name(stem)
        except ConfigError as error:
            what = f"the file is named otherwise, and {error.what}"
        yield files.problem(f"arches/{stem}.yaml", ("name",), what)


def _platforms(project: Project, files: Files) -> Iterator[str]:
    owners: dict[Platform, str] = {}
    for stem, arch in project.arches.items():
        owner = owners.setdefault(arch.platform.platform.normalised, stem)
        if owner != stem:
            what = f"{arch.platform.platform} is the platform of {owner} too: an index has one image for each"
            yield files.problem(f"arches/{stem}.yaml", ("platform",), what)


def _known_arches(project: Project, files: Files) -> Iterator[str]:
    named: list[tuple[str, Location, str]] = [
        ("minios.yaml", ("arches", name), name) for name in project.minios.arches
    ]
    if project.workers.local.arches != "auto":
        listed = enumerate(project.workers.local.arches)
        named += [("workers.yaml", ("local", "arches", index), name) for index, name in listed]
    for file, at, name in named:
        if name not in project.arches:
            near = difflib.get_close_matches(name, project.arches, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(project.arches)}"
            yield files.problem(file, at, f"{name!r} has no file arches/{name}.yaml: {meant}")


def _versions(project: Project, files: Files) -> Iterator[str]:
    lists: dict[Location, tuple[str, ...]] = {
        ("versions",): project.minios.versions,
        ("nightly", "versions"): project.minios.nightly.versions,
    }
    for at, versions in lists.items():
        for index, text in enumerate(versions):
            if text != "newest" and text not in project.sources.releases:
                pinned = ", ".join(str(version) for version in project.pinned)
                what = f"version {text} is not pinned in sources.yaml, which has {pinned}"
                yield files.problem("minios.yaml", (*at, index), what)


def _tags(project: Project, files: Files) -> Iterator[str]:
    minios = project.minios
    owners: dict[str, str] = {}
    for variant, patterns in minios.tags.items():
        if not patterns or "{version}" not in patterns[0]:
            # Otherwise an older release could be left without any tag.
            yield files.problem("minios.yaml", ("tags", variant), "the first tag should hold {version}")
        for index, pattern in enumerate(patterns):
            made = {render(pattern, version) for version in project.pinned}
            others = sorted({owners[tag] for tag in made if owners.get(tag, variant) != variant})
            if others:
                what = f"{pattern!r} makes a tag of variant {others[0]} too: the last one would win"
                yield files.problem("minios.yaml", ("tags", variant, index), what)
            owners.update(dict.fromkeys(made, variant))
    for index, variant in enumerate(minios.variants):
        if variant not in minios.tags:
            yield files.problem("minios.yaml", ("variants", index), f"variant {variant} has no tags")
    for index, variant in enumerate(minios.nightly.variants):
        if variant not in minios.tags:
            at = ("nightly", "variants", index)
            yield files.problem("minios.yaml", at, f"variant {variant} has no tags")


def _registry(project: Project, files: Files) -> Iterator[str]:
    found = project.minios.destination
    if found.kind != "registry":
        return

    def problem(key: str, what: str, *more: int) -> str:
        return files.problem("minios.yaml", ("destination", key, *more), what)

    if bool(found.username) != bool(found.password_secret):
        given, missing = ("username", "password_secret")[:: 1 if found.username else -1]
        yield problem(given, f"goes with {missing}, which is not there")
    if found.ca and not (project.root / found.ca).is_file():
        yield problem("ca", f"{found.ca!r} is not a file in the configuration folder")
    known = {pattern for patterns in project.minios.tags.values() for pattern in patterns}
    for index, pattern in enumerate(found.immutable):
        if pattern not in known:
            yield problem("immutable", f"{pattern!r} is no pattern of `tags`: nothing would be kept", index)
    for arch in project.arches:
        try:
            if found.staging_of(arch) == found.path:
                yield problem("staging", f"is the release's own repository for {arch}")
        except MiniosError as error:
            yield problem("staging", f"for {arch}: {error.what}")


def _backends(project: Project, files: Files) -> Iterator[str]:
    found = project.minios.destination
    if found.kind == "registry":
        for name in found.workers:
            if name not in project.arches:
                yield files.problem(
                    "minios.yaml",
                    ("destination", "workers", name),
                    f"{name!r} has no file arches/{name}.yaml",
                )
        return
    if project.minios.image.backend == "docker":
        yield files.problem("minios.yaml", ("image", "backend"), NEEDS_REGISTRY)
    for stem, arch in project.arches.items():
        if arch.backend == "docker":
            yield files.problem(f"arches/{stem}.yaml", ("backend",), NEEDS_REGISTRY)


def _candidate_tags(project: Project, files: Files) -> Iterator[str]:
    minios = project.minios
    released = {render(tag, v) for tags in minios.tags.values() for tag in tags for v in project.pinned}
    for variant in get_args(Variant):
        for index, pattern in enumerate(minios.upstream.candidate_tags.of(variant)):
            at = ("upstream", "candidate_tags", variant, index)
            if "{version}" not in pattern:
                yield files.problem("minios.yaml", at, "a candidate's tag should hold {version}")
            elif released & {render(pattern, version) for version in project.pinned}:
                yield files.problem("minios.yaml", at, f"{pattern!r} makes a tag of a release")


def _release_keys(project: Project, files: Files) -> Iterator[str]:
    upstream = project.minios.upstream
    folder = (project.root / "keys").resolve()
    if upstream.watch and not upstream.keys:
        what = "nothing can be verified without a key"
        yield files.problem("minios.yaml", ("upstream", "keys"), what)
    for index, key in enumerate(upstream.keys):
        path = (folder / key.file).resolve()
        if not (path.is_relative_to(folder) and path.is_file()):
            at = ("upstream", "keys", index, "file")
            yield files.problem("minios.yaml", at, f"keys/{key.file} is missing")


def _patches(project: Project, files: Files) -> Iterator[str]:
    folder = (project.root / "patches").resolve()
    for text, release in project.sources.releases.items():
        for index, name in enumerate(release.patches):
            at = ("releases", text, "patches", index)
            path = (folder / name).resolve()
            if not path.is_relative_to(folder):
                yield files.problem("sources.yaml", at, f"{name!r} is outside of patches/")
            elif not path.is_file():
                yield files.problem("sources.yaml", at, f"patches/{name} is missing")


def _fragments(project: Project, files: Files) -> Iterator[str]:
    """Every fragment that a cell could need is there and can be read."""
    cells = (
        (stem, variant, version)
        for stem, arch in project.arches.items()
        for variant in arch.variants
        for version in project.pinned
    )
    # Many cells share a fragment, and so its problem.
    yield from dict.fromkeys(filter(None, (_fragment_problem(project, files, *cell) for cell in cells)))


def _fragment_problem(
    project: Project, files: Files, stem: str, variant: Variant, version: Version
) -> str | None:
    try:
        kconfig.merge(project.fragments(project.arches[stem], variant, version))
    except ConfigError as error:
        return str(error)
    except KconfigError as error:
        if str(error).startswith("kconfig/"):
            return f"{project.root}/{error}"
        return files.problem(f"arches/{stem}.yaml", ("kconfig",), str(error))
    return None
