"""kconfig fragments: merged, applied to a `.config`, and read back to see that they stuck.

The form is that of BusyBox's scripts/kconfig/confdata.c. Its `conf_write` writes every symbol
of the release, whether its dependencies hold or not (unlike Linux's), so a symbol that is not
in a `.config` does not exist in that release.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import KconfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = r"CONFIG_([A-Za-z0-9_]+)"
_SET = re.compile(rf"{_NAME}\s*=\s*(.*)")
_UNSET = re.compile(rf"# {_NAME} is not set")
# Only the exact form counts for confdata.c; anything near it would be a comment to it.
_NEARLY_UNSET = re.compile(r"#\s*(CONFIG_)?\w+\s+(is\s+)?not\s+set\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)|0[xX][0-9A-Fa-f]+", re.ASCII)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Fragment:
    """A piece of configuration.

    Args:
        origin: where it is from, for messages.
        text: lines as in a `.config`.
    """

    origin: str
    text: str


@dataclass(frozen=True)
class Asked:
    """A value that was asked for: `y`, `n`, a number, or a text with its quotes."""

    symbol: str
    value: str
    origin: str

    @property
    def line(self) -> str:
        """The line of a `.config` that says so."""
        name = f"CONFIG_{self.symbol}"
        return f"# {name} is not set" if self.value == "n" else f"{name}={self.value}"


def parse_fragment(fragment: Fragment) -> dict[str, str]:
    """Read a fragment: symbol (without `CONFIG_`) to value, `n` for "is not set".

    Raises:
        KconfigError: `ORIGIN:LINE: what`: not a setting, a value of no kind, or a symbol that
            is there twice.
    """
    return {symbol: asked.value for symbol, asked in _parse(fragment).items()}


def merge(fragments: Iterable[Fragment]) -> dict[str, Asked]:
    """What all fragments ask for together, by symbol; a later fragment wins.

    Raises:
        KconfigError: as `parse_fragment`.
    """
    return {symbol: asked for fragment in fragments for symbol, asked in _parse(fragment).items()}


def canonical(asked: Mapping[str, Asked]) -> str:
    """The same for the same values, whoever asked: sorted lines `SYMBOL=VALUE`."""
    return "".join(f"{symbol}={asked[symbol].value}\n" for symbol in sorted(asked))


def parse_dotconfig(text: str) -> dict[str, str]:
    """Read a `.config`: symbol (without `CONFIG_`) to value, `n` for "is not set"."""
    pairs = (_read_line(line) for line in text.splitlines())
    return dict(pair for pair in pairs if pair)


def apply(dotconfig: str, asked: Mapping[str, Asked]) -> str:
    """A `.config` for `make oldconfig` with every asked-for value in it.

    Lines that are there are replaced in place, the others are appended in the order of symbols.
    """
    left = dict(asked)
    lines = []
    for line in dotconfig.splitlines():
        pair = _read_line(line)
        if pair is None or pair[0] not in asked:
            lines.append(line)
        elif pair[0] in left:
            lines.append(left.pop(pair[0]).line)
    lines += [left[symbol].line for symbol in sorted(left)]
    return "\n".join(lines) + "\n"


def verify(dotconfig: str, asked: Mapping[str, Asked]) -> None:
    """Check that a `.config` that `oldconfig` wrote holds every asked-for value.

    Raises:
        KconfigError: naming each symbol that does not exist in this release, or that has
            another value; one line for each, with who asked, in `details`.
    """
    config = parse_dotconfig(dotconfig)
    wrong = [item for _, item in sorted(asked.items()) if not _same(config.get(item.symbol), item.value)]
    if not wrong:
        return
    lines = [_complaint(item, config) for item in wrong]
    others = ", ".join(f"CONFIG_{item.symbol}" for item in wrong[1:])
    raise KconfigError(
        lines[0] + (f"; also {others}" if others else ""),
        hint="set what it depends on too (of a choice, unset the other), or take it out of the fragment",
        details="\n".join(lines),
    )


def _complaint(item: Asked, config: Mapping[str, str]) -> str:
    name = f"CONFIG_{item.symbol}"
    if item.symbol in config:
        return f"{name} did not stick: asked for {item.value}, got {config[item.symbol]} ({item.origin})"
    near = difflib.get_close_matches(item.symbol, config, n=1, cutoff=0.8)
    meant = f", did you mean CONFIG_{near[0]}?" if near else ""
    return f"{name} does not exist in this release{meant} ({item.origin})"


def _parse(fragment: Fragment) -> dict[str, Asked]:
    found: dict[str, Asked] = {}
    for number, line in enumerate(fragment.text.splitlines(), start=1):
        text = line.strip()
        where = f"{fragment.origin}:{number}"
        pair = _read_line(text)
        if pair is None:
            if text.startswith("CONFIG_") or _NEARLY_UNSET.match(text) or (text and text[0] != "#"):
                raise KconfigError(
                    f"{where}: not a setting: {text[:80]!r}",
                    hint="write CONFIG_NAME=value or # CONFIG_NAME is not set",
                )
            continue
        symbol, value = pair
        if not (value in ("y", "n") or _NUMBER.fullmatch(value) or _TEXT.fullmatch(value)):
            raise KconfigError(
                f"{where}: CONFIG_{symbol}: not a value: {value[:80]!r}",
                hint='write y, n, a number or a "text" in quotes',
            )
        if symbol in found:
            raise KconfigError(f"{where}: CONFIG_{symbol} is there twice, first at {found[symbol].origin}")
        found[symbol] = Asked(symbol, value, where)
    return found


def _read_line(line: str) -> tuple[str, str] | None:
    if match := _UNSET.fullmatch(line):
        return match[1], "n"
    if match := _SET.fullmatch(line):
        return match[1], match[2]
    return None


def _same(got: str | None, wanted: str) -> bool:
    """Whether two values mean the same; kconfig may write a number in its own form."""
    if got is None or not (_NUMBER.fullmatch(got) and _NUMBER.fullmatch(wanted)):
        return got == wanted
    return int(got, 0) == int(wanted, 0)
