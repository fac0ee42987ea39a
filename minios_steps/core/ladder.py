"""The way of an arch: candidate, optional, required, and back; and what it takes to be promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from minios_steps.core.errors import PolicyError

if TYPE_CHECKING:
    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.cell_record import CellRecord
    from minios_steps.core.config.base import Role
    from minios_steps.core.config.project import Project

_STEPS: tuple[Role, ...] = ("retired", "candidate", "optional", "required")


def promoted(project: Project, store: CandidateStore, arch: str) -> Role:
    """The next role of an arch.

    Args:
        project: the configuration.
        store: has what was built.
        arch: its name.

    Raises:
        PolicyError: it is required already; or it would enter releases, and no candidate of it that
            passed the smoke test is in the store.
    """
    role = project.role(arch)
    if role == _STEPS[-1]:
        raise PolicyError(f"arch {arch} is {role}: there is no higher role")
    new = _STEPS[_STEPS.index(role) + 1]
    if new in ("optional", "required") and good_candidate(project, store, arch) is None:
        raise PolicyError(
            f"arch {arch} cannot be {new}: no candidate of a configured version that passed the smoke test"
            " is in the store",
            hint=f"minios matrix --arch {arch}, and an emulator where no machine of it builds",
        )
    return new


def demoted(project: Project, arch: str) -> Role:
    """The role below an arch's.

    Raises:
        PolicyError: it is a candidate or retired.
    """
    role = project.role(arch)
    if role not in ("optional", "required"):
        hint = f"minios arch retire {arch} stops building it" if role == "candidate" else ""
        raise PolicyError(f"arch {arch} is {role}: there is no lower role", hint=hint)
    return _STEPS[_STEPS.index(role) - 1]


def retired(project: Project, arch: str) -> Role:
    """The role of an arch that is built no more.

    Raises:
        PolicyError: it is so already, or releases wait for it.
    """
    role = project.role(arch)
    if role == "retired":
        raise PolicyError(f"arch {arch} is retired already")
    if role == "required":
        raise PolicyError(
            f"arch {arch} is required: releases wait for it", hint=f"first: minios arch demote {arch}"
        )
    return "retired"


def good_candidate(project: Project, store: CandidateStore, arch: str) -> CellRecord | None:
    """The newest whole candidate of a configured version that passed its smoke test; None without one."""
    for record in newest_candidates(project, store, arch):
        if smoke_of(record) == "passed" and store.find(record.key):
            return record
    return None


def smoke_of(record: CellRecord) -> Literal["passed", "failed", "not run"]:
    """How a candidate's smoke test ended."""
    outcomes = [check.get("outcome") for check in record.smoke]
    if "failed" in outcomes:
        return "failed"
    return "passed" if "passed" in outcomes else "not run"


def newest_candidates(project: Project, store: CandidateStore, arch: str) -> list[CellRecord]:
    """The newest record of each configured version and variant of an arch, the newest of all first."""
    versions = {str(project.version(text)) for text in project.minios.versions}
    found = (
        store.latest(arch, version, variant)
        for version in sorted(versions)
        for variant in project.arches[arch].variants
    )
    return sorted(filter(None, found), key=lambda record: record.built, reverse=True)
