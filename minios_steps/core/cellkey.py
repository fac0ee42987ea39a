"""A cell's key: one digest over everything that can change the bytes of its image."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PIPELINE_VERSION = 2
"""Raise this when a change to the code gives other bytes for the same inputs (another make
command line, archive layout, image config…): candidates that were built before are then built
again. A change that leaves the bytes alone, such as a message or a check, must not raise it."""

_COMPILER = re.compile(r"\b(gcc|clang|icx|tcc)\b.*?\bversion (\d[\w.+-]*)", re.IGNORECASE)

# Lines of `Toolchain.identity` that begin with what they tell.
_FACTS = ("target", "libc", "linux headers", "linker")

# What each input is called where its value says everything.
_PLAIN = {
    "version": "source",
    "kconfig_base": "kconfig base",
    "variant": "variant",
    "arch": "arch",
    "platform": "platform",
    "make_arch": "make ARCH",
    "prefix": "compiler prefix",
    "epoch": "SOURCE_DATE_EPOCH",
    "backend": "backend",
    "pipeline": "pipeline version",
}


@dataclass(frozen=True)
class CellInputs:
    """Everything that goes into a cell's image.

    Args:
        version: the release, such as `1.38.0`.
        source_sha256: of the release's tarball, in hexadecimal.
        patches: the sha256 of each patch, in the order they are applied.
        kconfig: what the fragments ask for, as `kconfig.canonical` writes it.
        kconfig_base: the make target that the fragments change.
        variant: `static` or `dynamic`.
        arch: the arch's name.
        platform: the OCI platform, such as `linux/arm64/v8`.
        make_arch: the value of `make ARCH=`.
        prefix: the compiler's prefix; empty for a native one.
        toolchain: the identity of compiler, C library and linker, the same text every time.
        skeleton: the digest of the root file system's skeleton, in hexadecimal.
        epoch: `SOURCE_DATE_EPOCH`, seconds.
        command: what a container runs.
        labels: the image's labels, sorted.
        backend: what makes the image: `oci` or `docker`.
        pipeline: `PIPELINE_VERSION`.
    """

    version: str
    source_sha256: str
    patches: tuple[str, ...]
    kconfig: str
    kconfig_base: str
    variant: str
    arch: str
    platform: str
    make_arch: str
    prefix: str
    toolchain: str
    skeleton: str
    epoch: int
    command: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    backend: str = "oci"
    pipeline: int = PIPELINE_VERSION

    @property
    def key(self) -> Digest:
        """The digest of the inputs' canonical JSON: sorted keys, no spaces, UTF-8."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return Digest.of(text.encode())

    def as_json(self) -> dict[str, Any]:
        """The inputs as a mapping of texts, numbers and lists."""
        plain = dataclasses.asdict(self)
        plain["labels"] = [list(pair) for pair in self.labels]
        if self.backend == "oci":
            # Images from before there was a choice keep their keys.
            del plain["backend"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellInputs:
        """Read what `as_json` gave.

        Raises:
            ConfigError: an input is missing, unknown or of another type.
        """
        hints = get_type_hints(cls)
        try:
            told = {"backend": "oci", **data}
            values = {name: _read(told[name], str(hint)) for name, hint in hints.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"a cell's recorded inputs are damaged: {error}") from error
        if unknown := sorted(set(data) - set(hints)):
            raise ConfigError(f"a cell's recorded inputs are damaged: unknown {', '.join(unknown)}")
        return cls(**values)

    def explain(self, old: CellInputs) -> list[str]:
        """What is different from `old`, in words: `kconfig: CONFIG_TC y → n`. Empty when nothing is."""
        return list(_differences(old, self))


def _read(value: Any, hint: str) -> Any:
    """A JSON value as the type of a field."""
    if hint.startswith("tuple"):
        if not isinstance(value, list):
            raise TypeError(f"not a list: {value!r:.40}")
        inner = hint.removeprefix("tuple[").removesuffix(", ...]")
        return tuple(_pair(item) if inner.startswith("tuple") else _read(item, inner) for item in value)
    wanted = int if "int" in hint else str
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TypeError(f"not {wanted.__name__}: {value!r:.40}")
    return value


def _pair(value: Any) -> tuple[str, str]:
    name, text = value
    return str(name), str(text)


def _differences(old: CellInputs, new: CellInputs) -> Iterator[str]:
    for field in dataclasses.fields(CellInputs):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after:
            continue
        if field.name in _PLAIN:
            yield f"{_PLAIN[field.name]}: {before or 'none'} → {after or 'none'}"
        else:
            yield from _detail(field.name, before, after, same_version=old.version == new.version)


def _detail(name: str, before: Any, after: Any, *, same_version: bool) -> Iterator[str]:
    """The differences of an input whose value is too long or too dull to be shown."""
    match name:
        case "source_sha256":
            # Another release has another digest: nothing to say twice.
            if same_version:
                yield f"source: another tarball, {before[:12]} → {after[:12]}"
        case "patches":
            yield f"patches: {_patches(before)} → {_patches(after)}"
        case "kconfig":
            yield from _kconfig(before, after)
        case "toolchain":
            yield from _toolchain(before, after)
        case "skeleton":
            yield f"skeleton: {before[:12]} → {after[:12]}"
        case "command":
            yield f"command: {' '.join(before)} → {' '.join(after)}"
        case "labels":
            yield from _mappings("label ", dict(before), dict(after), "none")


def _patches(digests: tuple[str, ...]) -> str:
    return " ".join(digest[:12] for digest in digests) or "none"


def _kconfig(before: str, after: str) -> Iterator[str]:
    def values(text: str) -> dict[str, str]:
        pairs = (line.partition("=") for line in text.splitlines())
        return {f"CONFIG_{symbol}": value for symbol, _, value in pairs}

    yield from (f"kconfig: {line}" for line in _mappings("", values(before), values(after), "not asked for"))


def _toolchain(before: str, after: str) -> Iterator[str]:
    """The compiler's versions and the facts about it; else the lines that are different."""
    told = False
    old, new = _compiler(before), _compiler(after)
    if old and new and old != new:
        same = old.split()[0] == new.split()[0]
        yield f"compiler: {old} → {new.split()[1] if same else new}"
        told = True
    for fact in _FACTS:
        mark = f"{fact} "
        old, new = (
            next((line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)), "none")
            for text in (before, after)
        )
        if old != new:
            yield f"{fact}: {old} → {new}"
            told = True
    if not told:
        gone = [line for line in before.splitlines() if line not in after.splitlines()]
        come = [line for line in after.splitlines() if line not in before.splitlines()]
        yield f"compiler: {_quoted(gone)} → {_quoted(come)}"


def _compiler(identity: str) -> str:
    match = _COMPILER.search(identity)
    return f"{match[1].lower()} {match[2]}" if match else ""


def _quoted(lines: list[str]) -> str:
    return "; ".join(f"{line:.80}" for line in lines[:3]) or "none"


def _mappings(prefix: str, before: Mapping[str, str], after: Mapping[str, str], absent: str) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if (old := before.get(name, absent)) != (new := after.get(name, absent)):
            yield f"{prefix}{name} {old} → {new}"
