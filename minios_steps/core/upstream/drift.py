"""What changed in a release's kconfig since another, and which fragment lines do not fit any more."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core import kconfig
from minios_steps.core.sources.fetch import fetch
from minios_steps.core.upstream.symbols import read_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from minios_steps.core.config.project import Project
    from minios_steps.core.sources.cache import SourceCache
    from minios_steps.core.upstream.symbols import Symbol
    from minios_steps.core.version import Version

_CLOSE = 0.85
_BOOL = ("y", "n")


@dataclass(frozen=True)
class StaleLine:
    """A line of a fragment that does not apply.

    Args:
        origin: `FILE:LINE`.
        line: the line.
        why: what is wrong with it, and what to write instead where that is clear.
    """

    origin: str
    line: str
    why: str


@dataclass(frozen=True)
class Drift:
    """The differences between two releases' kconfig, which are the same for every CPU, and its effect.

    Args:
        old, new: the releases.
        added, gone: symbols without `CONFIG_` that only the new or only the old one has.
        renamed: pairs of an old and a new name; neither is among `added` and `gone`.
        stale: the lines that do not apply, by arch; every arch is there.
    """

    old: Version
    new: Version
    added: tuple[str, ...]
    gone: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    stale: Mapping[str, tuple[StaleLine, ...]]

    @property
    def summary(self) -> str:
        """One line for people."""
        lines = len({line for stale in self.stale.values() for line in stale})
        counted = f"{len(self.added)} new, {len(self.gone)} gone, {len(self.renamed)} renamed symbols"
        told = f"{lines} fragment line{'s do' if lines != 1 else ' does'} not apply"
        return f"{self.old} to {self.new}: {counted}; {told}"

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it for people, a line each."""
        told = [self.summary]
        told += [f"renamed: CONFIG_{before} → CONFIG_{after}" for before, after in self.renamed]
        told += [f"gone: CONFIG_{name}" for name in self.gone]
        told += [f"new: CONFIG_{name}" for name in self.added]
        for arch, stale in self.stale.items():
            told += [f"{arch}: {item.origin}: {item.line}: {item.why}" for item in stale]
            told += [] if stale else [f"{arch}: every fragment line applies"]
        return tuple(told)


def compare(
    project: Project,
    old: Version,
    new: Version,
    before: Mapping[str, Symbol],
    after: Mapping[str, Symbol],
) -> Drift:
    """Compare two releases.

    Args:
        project: whose fragments are looked at, for every arch and variant.
        old: the release they are known to fit.
        new: the release they are to fit.
        before: the symbols of `old`.
        after: the symbols of `new`.

    Raises:
        ConfigError: a fragment is missing.
        KconfigError: a fragment cannot be read.
    """
    gone = {name: before[name] for name in sorted(before.keys() - after.keys())}
    added = {name: after[name] for name in sorted(after.keys() - before.keys())}
    renamed = dict(_renamed(gone, added))
    taken = set(renamed.values())
    return Drift(
        old=old,
        new=new,
        added=tuple(name for name in added if name not in taken),
        gone=tuple(name for name in gone if name not in renamed),
        renamed=tuple(renamed.items()),
        stale={name: tuple(_stale(project, name, new, after, renamed)) for name in project.nightly_arches},
    )


def last_before(project: Project, version: Version) -> Version:
    """The newest release, pinned or approved, that is older; the newest pinned one where none is.

    Raises:
        ConfigError: the discovered releases cannot be read.
    """
    older = [release for release in project.released if release < version]
    return max(older, default=project.sources.newest)


def drift_between(
    project: Project,
    old: Version,
    new: Version,
    *,
    cache: SourceCache,
    report: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Drift:
    """Fetch two releases, where they are not here yet, and compare them.

    Blocks; call it from a thread.

    Args:
        project: the configuration.
        old: the release its fragments are known to fit.
        new: the release they are to fit.
        cache: where verified tarballs are kept.
        report: called with lines for people, from the calling thread.
        cancelled: asked often.

    Raises:
        SourceError: one of them cannot be had, or is no BusyBox.
        CancelledError: cancelled.
        ConfigError, KconfigError: as `compare`.
    """
    found = []
    for version in (old, new):
        tarball = fetch(
            version,
            project.sources_of(version),
            cache=cache,
            config_root=project.root,
            report=report,
            cancelled=cancelled,
        ).path
        found.append(read_symbols(tarball))
    return compare(project, old, new, *found)


def _renamed(gone: Mapping[str, Symbol], added: Mapping[str, Symbol]) -> Iterator[tuple[str, str]]:
    """Pairs that are likely one symbol: the same question, or in one file nearly the same name."""
    left = dict(added)
    for name, symbol in gone.items():
        alike = [
            other
            for other, candidate in left.items()
            if candidate.kind == symbol.kind and candidate.prompt and candidate.prompt == symbol.prompt
        ]
        # Questions such as "Support long options" are asked of many applets.
        beside = [other for other in alike if left[other].file == symbol.file] or alike
        found = beside if len(beside) == 1 else []
        if not found:
            near = [other for other, candidate in left.items() if candidate.file == symbol.file]
            found = difflib.get_close_matches(name, near, n=1, cutoff=_CLOSE)
        if found:
            yield name, found[0]
            del left[found[0]]


def _stale(
    project: Project, arch: str, version: Version, symbols: Mapping[str, Symbol], renamed: Mapping[str, str]
) -> Iterator[StaleLine]:
    """The lines of an arch's fragments that name no symbol, or give it a value of another kind."""
    told = set()
    for variant in project.arches[arch].variants:
        for item in kconfig.merge(project.fragments(project.arches[arch], variant, version)).values():
            why = _wrong(item, symbols, renamed)
            line = StaleLine(item.origin, item.line, why)
            if why and line not in told:
                told.add(line)
                yield line


def _wrong(item: kconfig.Asked, symbols: Mapping[str, Symbol], renamed: Mapping[str, str]) -> str:
    if item.symbol not in symbols:
        instead = renamed.get(item.symbol)
        return f"it is now CONFIG_{instead}" if instead else "there is no such symbol"
    kind = symbols[item.symbol].kind
    fits = {
        "bool": item.value in _BOOL,
        "tristate": item.value in _BOOL,
        "string": item.value.startswith('"'),
        "int": re.fullmatch(r"-?\d+", item.value) is not None,
        "hex": re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", item.value) is not None,
    }
    article = "an" if kind == "int" else "a"
    return "" if fits.get(kind, True) else f"it is {article} {kind} now"
