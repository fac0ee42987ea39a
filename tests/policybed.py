"""Runs in short form, for the tests of the release policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minios_steps.core.digest import Digest
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.policy import GOOD, CellResult, Decision, Outcome, decide

if TYPE_CHECKING:
    from minios_steps.core.config.base import Role

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ROLES: dict[str, Role] = {
    "x86_64": "required",
    "aarch64": "required",
    "riscv64": "optional",
    "sw64": "optional",
    "s390x": "candidate",
}
USUAL = ("x86_64", "aarch64", "riscv64", "sw64")


def descriptor(arch: str, when: str = "now") -> Descriptor:
    return Descriptor(MANIFEST, Digest.of(f"{arch} {when}".encode()), 400)


def cell(arch: str, outcome: Outcome) -> CellResult:
    good = outcome in GOOD
    return CellResult(
        arch,
        "1.38.0",
        "static",
        outcome,
        reason="" if good else "because",
        descriptor=descriptor(arch) if good else None,
    )


@dataclass(frozen=True)
class Case:
    """A run: `outcomes` by arch; asked for all of `USUAL` unless told otherwise."""

    outcomes: dict[str, Outcome]
    asked: tuple[str, ...] = USUAL
    before: tuple[str, ...] = ()
    carry_over: bool = False
    roles: dict[str, Role] = field(default_factory=lambda: ROLES)

    def decide(self) -> Decision:
        return decide(
            [cell(arch, outcome) for arch, outcome in self.outcomes.items()],
            self.roles,
            self.asked,
            {arch: descriptor(arch, "before") for arch in self.before},
            carry_over=self.carry_over,
        )


def told(decision: Decision) -> dict[str, object]:
    """A decision in short: images as names, carried ones in brackets; only what is not empty."""
    entries = [f"({e.arch})" if e.carried else e.arch for e in decision.entries]
    kind = "release" if decision.release else "partial" if decision.partial else "blocked"
    parts = {"left_out": dict(decision.left_out), "reasons": list(decision.reasons)}
    return {kind: " ".join(entries), **{name: part for name, part in parts.items() if part}}


REQUIRED_GOOD: dict[str, Outcome] = {"x86_64": "built", "aarch64": "reused"}
ALL_GOOD: dict[str, Outcome] = {**REQUIRED_GOOD, "riscv64": "built", "sw64": "published"}
