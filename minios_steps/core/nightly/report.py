"""The report of a nightly, as data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from minios_steps.core.errors import MiniosError

Verdict = Literal["good", "warnings", "failed"]
State = Literal["changed", "tested", "reused", "failed", "known-failure", "timed-out", "refused", "no-worker"]
"""What came of a cell. `changed`: built, and good. `tested`: nothing changed, and its image was
tested again. `reused`: nothing changed, and it could not be tested. `known-failure`: it failed
before from the same inputs, and was not compiled again. The others are as in `CellResult`."""

BAD: frozenset[State] = frozenset({"failed", "known-failure", "timed-out", "refused"})

_CONFIG = ConfigDict(extra="ignore", hide_input_in_errors=True)


class ReportError(MiniosError):
    """There is no report, or it cannot be read."""


@dataclass(frozen=True)
class CellLine:
    """What came of one cell.

    Args:
        arch: the arch's name.
        version: the release of BusyBox.
        variant: `static` or `dynamic`.
        role: the arch's.
        state: what came of it.
        text: of a changed cell what changed, of a tested one what the test said, of a bad one why.
        since: the nightly that found it bad first, ISO 8601 in UTC; empty for a good one.
        digest: of the image, `sha256:HEX`; empty without one.
        size: bytes of manifest, config and compressed layer; 0 without one.
        before: its size when it was good last; 0 when that is not known.
        build: the URL of its build, which may be gone by now.
        checked: whether kept objects gave the bytes of a clean build; None when nobody looked.
        fresh: it was reused, but from a run by day: the nightly before had other inputs.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    arch: str
    version: str
    variant: str
    role: str
    state: State
    text: str
    since: str = ""
    digest: str = ""
    size: int = 0
    before: int = 0
    build: str = ""
    checked: bool | None = None
    fresh: bool = False

    @property
    def changed(self) -> bool:
        """Whether it is another image than in the nightly before, or may be."""
        return self.state == "changed" or self.fresh

    @property
    def name(self) -> str:
        """`ARCH VERSION VARIANT`."""
        return f"{self.arch} {self.version} {self.variant}"

    @property
    def growth(self) -> float:
        """By how many percent its image grew; negative when it shrank."""
        return 100 * (self.size - self.before) / self.before if self.size and self.before else 0.0


@dataclass(frozen=True)
class ReleaseLine:
    """What became of one version and variant; `outcome`, `tags`, `index` as in `ReleaseReport`."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    version: str
    variant: str
    outcome: str
    tags: tuple[str, ...] = ()
    index: str = ""
    reason: str = ""


@dataclass(frozen=True)
class MissingLine:
    """A worker that is not connected, or an arch that has none.

    Args:
        name: `worker NAME`, or `a worker for ARCH`.
        since: since when, ISO 8601 in UTC.
        worker: whether it is one that was attached and is gone.
        attach: how to attach one; empty when it is not said.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: str
    since: str
    worker: bool
    attach: str = ""


@dataclass(frozen=True)
class NightlyReport:
    """A nightly's end.

    Args:
        verdict: `failed` when a cell of a release's arch is bad, a required arch has no worker, or a
            release could not be written; `warnings` for what deserves a look: a line
            of `warnings`, or a worker that is gone.
        started: when, ISO 8601 in UTC.
        seconds: how long it took.
        build: its URL, which may be gone by now.
        cells: each cell of the night.
        releases: each version and variant.
        missing: the workers that are missing.
        warnings: a line each.
        problem: why there are no cells; empty when there are.
        schema: of this mapping.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    verdict: Verdict
    started: str
    seconds: float
    build: str
    cells: tuple[CellLine, ...]
    releases: tuple[ReleaseLine, ...]
    missing: tuple[MissingLine, ...]
    warnings: tuple[str, ...]
    problem: str = ""
    schema: Literal[1] = 1

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, told: Any) -> NightlyReport:
        """Read what `as_json` gave.

        Raises:
            ReportError: something is missing or has another type.
        """
        try:
            return _ADAPTER.validate_python(told)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ReportError(f"not a nightly's report: {where}: {first['msg']}") from error


_ADAPTER = TypeAdapter(NightlyReport)
