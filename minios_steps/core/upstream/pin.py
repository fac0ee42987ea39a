"""A discovered release written into `sources.yaml`, whose comments and layout stay as they are."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from minios_steps.core.config.load import validate
from minios_steps.core.config.sources import Release, Sources
from minios_steps.core.config.yamlfile import YamlFile, read_yaml
from minios_steps.core.errors import ConfigError
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from minios_steps.core.upstream.discoveries import Discovered

_TOP = "releases"


def pin(path: Path, releases: Sequence[Discovered]) -> str:
    """The text of a `sources.yaml` with some releases more; nothing is written.

    Each stands behind the newest one that is older, written as that one is.

    Args:
        path: the file.
        releases: what to pin; none of it is pinned already.

    Raises:
        ConfigError: the file is wrong, or is laid out in a way that cannot be added to.
    """
    before = _sources(read_yaml(path))
    text = path.read_text("utf-8")
    with TemporaryDirectory(prefix="minios-pin-") as folder:
        copy = Path(folder, path.name)
        for release in releases:
            copy.write_text(text, "utf-8")
            try:
                text = _insert(copy, release)
            except ConfigError:
                break
        copy.write_text(text, "utf-8")
        try:
            after = _sources(read_yaml(copy))
        except ConfigError:
            after = before
    added = {release.version: release.release for release in releases}
    expected = before.model_copy(update={"releases": {**before.releases, **added}})
    if after.model_dump() != expected.model_dump():
        raise ConfigError(
            f"{path}: {', '.join(added)} cannot be added to it as it is laid out",
            hint="write one release below the other, each on lines of its own",
        )
    return text


def _sources(file: YamlFile) -> Sources:
    problems: list[str] = []
    found = validate(file, Sources, problems)
    if found is None:
        raise ConfigError(problems[0], details="\n".join(problems))
    return found


def _insert(path: Path, release: Discovered) -> str:
    file = read_yaml(path)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    new = Version.parse(release.version)
    older = [text for text in file.data[_TOP] if Version.parse(text) < new]
    model = max(older, key=Version.parse) if older else min(file.data[_TOP], key=Version.parse)
    first = file.line((_TOP, model))
    last = max(line for at, line in file.lines.items() if at[:2] == (_TOP, model))
    key = lines[first - 1]
    outer = re.match(r"\s*", key)[0]  # type: ignore[index]  # it matches everything
    quote = next(iter(re.findall(r"^\s*([\"']?)", key)), "")
    inner = re.match(r"\s*", lines[min(first, len(lines) - 1)])[0]  # type: ignore[index]
    at = last if older else first - 1
    made = _entry(release.version, release.release, outer, inner, quote)
    return "".join([*lines[:at], *made, *lines[at:]])


def _entry(version: str, release: Release, outer: str, inner: str, quote: str) -> Iterator[str]:
    yield f"{outer}{quote}{version}{quote}:\n"
    yield f"{inner}sha256: {release.sha256}\n"
    yield f"{inner}epoch: {release.epoch}\n"
    if release.patches:
        yield f"{inner}patches:\n"
        step = " " * max(2, len(inner) - len(outer))
        yield from (f"{inner}{step}- {name}\n" for name in release.patches)
