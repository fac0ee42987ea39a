"""Where this machine's apt gets its packages (sources.list(5), both formats)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

MAIN = "main"
_LINE = re.compile(r"(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)")
_PART_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(list|sources)")
_DEBIAN_SUITES = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable", "sid"})
_DEBIAN_KEYRING = "debian-archive"
# What says how an archive is trusted; the rest, such as Architectures, is about binaries.
_KEPT_OPTIONS = {
    name.lower(): name
    for name in ("Signed-By", "Trusted", "Check-Valid-Until", "Check-Date", "Allow-Insecure", "Allow-Weak")
}


@dataclass(frozen=True)
class AptSource:
    """One entry.

    Args:
        uris: base URIs, as written.
        suites: such as `bookworm`.
        components: such as `main`; none for a flat repository.
        options: names and values of the options about trust, as the deb822 format spells
            them; a value may have several lines, indented.
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()

    @property
    def signed_by(self) -> str:
        """The keyring, or empty for the machine's trusted ones."""
        return dict(self.options).get("Signed-By", "")

    def stanza(self, suite: str, kind: Literal["deb", "deb-src"]) -> str:
        """A deb822 entry for the binary or source packages of a suite of this archive's main component."""
        lines = [
            f"Types: {kind}",
            f"URIs: {' '.join(self.uris)}",
            f"Suites: {suite}",
            f"Components: {MAIN}",
            *(f"{name}: {value}" for name, value in self.options),
        ]
        return "\n".join(lines) + "\n"


def read_apt_sources(main: Path, parts: Path) -> tuple[AptSource, ...]:
    """Every enabled entry of `sources.list` and the folder `sources.list.d`, in apt's order.

    Files that cannot be read, and names apt would not read, are passed over.
    """
    try:
        names = sorted(path for path in parts.iterdir() if _PART_NAME.fullmatch(path.name))
    except OSError:
        names = []
    return tuple(source for path in (main, *names) for source in _read(path))


def parse_list(text: str) -> tuple[AptSource, ...]:
    """The entries of the one-line format."""
    return tuple(_parse_lines(text.splitlines()))


def parse_sources(text: str) -> tuple[AptSource, ...]:
    """The enabled entries of the deb822 format."""
    stanzas = re.split(r"\n[ \t]*\n", re.sub(r"(?m)^#.*\n?", "", text))
    return tuple(source for stanza in stanzas if (source := _parse_stanza(stanza)))


def debian_archives(sources: Iterable[AptSource], suites: Collection[str]) -> tuple[AptSource, ...]:
    """The entries that look like the Debian archive, the likeliest first.

    No host is known here: mirrors have any name. The archive has a component `main` and
    serves a plain Debian suite; of several, the one signed by Debian's keyring is likelier.

    Args:
        sources: all entries.
        suites: further suites to know it by: those wanted, and this machine's own.
    """
    known = _DEBIAN_SUITES | set(suites)
    found = [source for source in sources if MAIN in source.components and known & set(source.suites)]
    unique = {(s.uris, s.options): s for s in found if not any(uri.startswith("cdrom:") for uri in s.uris)}
    return tuple(sorted(unique.values(), key=_unlikeliness))


def _unlikeliness(source: AptSource) -> int:
    if _DEBIAN_KEYRING in source.signed_by:
        return 0
    # Vendors of single programs bring a key; the archive may rely on the machine's.
    return 2 if source.signed_by else 1


def _read(path: Path) -> tuple[AptSource, ...]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return parse_sources(text) if path.suffix == ".sources" else parse_list(text)


def _parse_lines(lines: Iterable[str]) -> Iterator[AptSource]:
    for line in lines:
        if match := _LINE.fullmatch(line.partition("#")[0].strip()):
            _, options, uri, suite, components = match.groups()
            pairs = (option.partition("=") for option in (options or "").split())
            yield AptSource(
                (uri,),
                (suite,),
                tuple(components.split()),
                tuple(
                    # Lists have commas here, and spaces in the other format.
                    (_KEPT_OPTIONS[key.lower()], value.replace(",", " "))
                    for key, _, value in pairs
                    if key.lower() in _KEPT_OPTIONS
                ),
            )


def _parse_stanza(stanza: str) -> AptSource | None:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += f"\n{line.rstrip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    lists = {key: tuple(fields.get(key, "").split()) for key in ("types", "uris", "suites", "components")}
    disabled = fields.get("enabled", "yes").lower() in ("no", "false", "0", "off", "without", "disable")
    if disabled or not lists["uris"] or not {"deb", "deb-src"} & set(lists["types"]):
        return None
    options = tuple((_KEPT_OPTIONS[key], value) for key, value in fields.items() if key in _KEPT_OPTIONS)
    return AptSource(lists["uris"], lists["suites"], lists["components"], options)
