"""The release policy: from the outcome of every cell to what may be published. No side effects."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from minios_steps.core.cell_result import GOOD, CellResult, Outcome
from minios_steps.core.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from minios_steps.core.config.base import Role
    from minios_steps.core.oci.model import Descriptor

__all__ = ["GOOD", "NO_ANSWER", "CellResult", "Decision", "Entry", "Outcome", "decide"]

NO_ANSWER = "no answer"
"""The reason of a cell that was asked for and of which nothing was heard."""


class Entry(NamedTuple):
    """An image of an index; `carried` when it is kept from the previous one."""

    arch: str
    descriptor: Descriptor
    carried: bool


@dataclass(frozen=True)
class Decision:
    """What may be published of one version and variant.

    Args:
        release: the release's tags may move to an index of `entries`.
        partial: the run was narrowed: an index of `entries` may only be written beside.
        entries: the images, in the order of arch names; empty when nothing may be written.
        left_out: the arches a release lacks, and why in one stable word: it gets into the index,
            whose digest must not depend on how a failure was worded.
        reasons: lines for people, the deciding ones first.
    """

    release: bool
    partial: bool
    entries: tuple[Entry, ...]
    left_out: Mapping[str, str]
    reasons: tuple[str, ...]

    @property
    def left_out_text(self) -> str:
        """For the index's annotation: `sw64: no-worker`; empty when nothing is left out."""
        return ", ".join(f"{arch}: {why}" for arch, why in sorted(self.left_out.items()))

    @property
    def carried_text(self) -> str:
        """For the index's annotation: the arches kept from the previous index."""
        return ", ".join(entry.arch for entry in self.entries if entry.carried)


def decide(
    results: Iterable[CellResult],
    roles: Mapping[str, Role],
    asked: Sequence[str],
    previous: Mapping[str, Descriptor],
    *,
    carry_over: bool,
) -> Decision:
    """Apply the policy to one version and variant.

    A run is full when it was asked for every required arch, else narrowed. A full run releases
    when every required arch is good; missing optional arches are left out or carried over;
    candidates never enter. A narrowed run releases nothing: its good cells, candidates too,
    make a partial index, unless a required arch that was asked for is not good.

    Args:
        results: how the cells ended; one that is not there counts as failed.
        roles: of every arch that has this variant.
        asked: the arches the run was asked for; those without this variant are passed over.
        previous: the entries of this version and variant's previous index, by arch.
        carry_over: keep a missing optional arch from `previous`.

    Raises:
        PolicyError: the results are of several releases, or two are of one arch.
    """
    wanted = [arch for arch in dict.fromkeys(asked) if arch in roles]
    cells = _by_arch(results, wanted)
    needed = _needed(roles)
    unasked = [arch for arch in needed if arch not in wanted]
    broken = [arch for arch in wanted if roles[arch] == "required" and not _is_good(cells[arch])]
    blocking = [_tell(arch, "required", cells[arch]) for arch in broken]
    if unasked:
        return _partial(cells, roles, unasked, blocking)
    return _full(cells, roles, previous if carry_over else {}, blocking)


def _by_arch(results: Iterable[CellResult], wanted: Collection[str]) -> dict[str, CellResult]:
    """One result for each wanted arch; nothing is ever silently absent."""
    found: dict[str, CellResult] = {}
    for result in results:
        if result.arch in found:
            raise PolicyError(f"two results for {result.arch} {result.version} {result.variant}")
        found[result.arch] = result
    releases = {(result.version, result.variant) for result in found.values()}
    if len(releases) > 1:
        raise PolicyError(f"results of {len(releases)} releases in one decision: {sorted(releases)}")
    # Without any result there is nothing to tell which release it was; the caller knows.
    version, variant = next(iter(releases), ("", "static"))
    return {
        arch: found.get(arch) or CellResult(arch, version, variant, "failed", NO_ANSWER)
        for arch in sorted(wanted)
    }


def _needed(roles: Mapping[str, Role]) -> list[str]:
    """The arches that make a run full: the required ones, or without any the optional ones."""
    required = sorted(arch for arch, role in roles.items() if role == "required")
    return required or sorted(arch for arch, role in roles.items() if role == "optional")


def _is_good(cell: CellResult) -> bool:
    return cell.outcome in GOOD and cell.descriptor is not None


def _why(cell: CellResult) -> str:
    if cell.outcome in GOOD:
        return f"failed: {cell.outcome}, but without a candidate"
    return f"{cell.outcome}: {cell.reason}" if cell.reason else cell.outcome


def _tell(arch: str, role: str, cell: CellResult) -> str:
    return f"{arch} ({role}) {_why(cell)}"


def _partial(
    cells: Mapping[str, CellResult],
    roles: Mapping[str, Role],
    unasked: Sequence[str],
    blocking: Sequence[str],
) -> Decision:
    told = [f"a release needs {', '.join(unasked)} too, which this run was not asked for"]
    bad = {arch: cell for arch, cell in cells.items() if not _is_good(cell)}
    told += [_tell(arch, roles[arch], cell) for arch, cell in bad.items() if roles[arch] != "required"]
    entries = () if blocking else _entries(cells)
    left_out = MappingProxyType({arch: _word(cell) for arch, cell in bad.items()})
    return Decision(False, True, entries, left_out, (*blocking, *told))


def _full(
    cells: Mapping[str, CellResult],
    roles: Mapping[str, Role],
    previous: Mapping[str, Descriptor],
    blocking: Sequence[str],
) -> Decision:
    entries = list(_entries({arch: cell for arch, cell in cells.items() if roles[arch] != "candidate"}))
    left_out: dict[str, str] = {}
    told: list[str] = []
    for arch in sorted(roles):
        cell = cells.get(arch)
        if roles[arch] == "candidate":
            if cell is not None:
                state = "is good" if _is_good(cell) else _why(cell)
                told.append(f"{arch} (candidate) {state}; a candidate is in no release")
        elif roles[arch] == "optional" and (cell is None or not _is_good(cell)):
            why = f"{arch} (optional) {_why(cell) if cell else 'was not asked for'}"
            if arch in previous:
                entries.append(Entry(arch, previous[arch], carried=True))
                told.append(f"{why}; carried over from the previous index")
            else:
                left_out[arch] = _word(cell) if cell else "not-asked"
                told.append(f"{why}; left out")
    fresh = any(not entry.carried for entry in entries)
    if not fresh and not blocking:
        blocking = ("no arch of the release is good",)
    if blocking:
        return Decision(False, False, (), MappingProxyType(left_out), (*blocking, *told))
    return Decision(
        True,
        False,
        tuple(sorted(entries, key=lambda entry: entry.arch)),
        MappingProxyType(left_out),
        tuple(told),
    )


def _entries(cells: Mapping[str, CellResult]) -> tuple[Entry, ...]:
    return tuple(
        Entry(arch, cell.descriptor, carried=False)
        for arch, cell in sorted(cells.items())
        if _is_good(cell) and cell.descriptor is not None
    )


def _word(cell: CellResult) -> str:
    return "failed" if cell.outcome in GOOD else cell.outcome
