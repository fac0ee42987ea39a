"""The policy as a table: a run and what was there before on one side, the decision on the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import pytest

from minios_steps.core.digest import Digest
from minios_steps.core.errors import PolicyError
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.policy import GOOD, NO_ANSWER, CellResult, Decision, Outcome, decide

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

TABLE: dict[str, tuple[Case, dict[str, object]]] = {
    "all good": (Case(ALL_GOOD), {"release": "aarch64 riscv64 sw64 x86_64"}),
    "all good, in another order": (
        Case(dict(reversed(ALL_GOOD.items())), asked=tuple(reversed(USUAL))),
        {"release": "aarch64 riscv64 sw64 x86_64"},
    ),
    "a required arch failed": (
        Case({**ALL_GOOD, "aarch64": "failed"}),
        {"blocked": "", "reasons": ["aarch64 (required) failed: because"]},
    ),
    "a required arch was refused": (
        Case({**ALL_GOOD, "x86_64": "refused"}),
        {"blocked": "", "reasons": ["x86_64 (required) refused: because"]},
    ),
    "both required arches are bad, and an optional one: the deciding ones first": (
        Case({"x86_64": "timed-out", "aarch64": "no-worker", "riscv64": "failed", "sw64": "built"}),
        {
            "blocked": "",
            "left_out": {"riscv64": "failed"},
            "reasons": [
                "x86_64 (required) timed-out: because",
                "aarch64 (required) no-worker: because",
                "riscv64 (optional) failed: because; left out",
            ],
        },
    ),
    "a required arch is never carried over": (
        Case({**ALL_GOOD, "aarch64": "failed"}, before=USUAL, carry_over=True),
        {"blocked": "", "reasons": ["aarch64 (required) failed: because"]},
    ),
    "a required arch gave no answer": (
        Case({"x86_64": "built", "riscv64": "built", "sw64": "built"}),
        {"blocked": "", "reasons": [f"aarch64 (required) failed: {NO_ANSWER}"]},
    ),
    "an optional arch has no worker": (
        Case({**ALL_GOOD, "sw64": "no-worker"}),
        {
            "release": "aarch64 riscv64 x86_64",
            "left_out": {"sw64": "no-worker"},
            "reasons": ["sw64 (optional) no-worker: because; left out"],
        },
    ),
    "an optional arch gave no answer": (
        Case({**REQUIRED_GOOD, "riscv64": "built"}),
        {
            "release": "aarch64 riscv64 x86_64",
            "left_out": {"sw64": "failed"},
            "reasons": [f"sw64 (optional) failed: {NO_ANSWER}; left out"],
        },
    ),
    "an optional arch was there before, but is not carried over": (
        Case({**ALL_GOOD, "sw64": "failed"}, before=USUAL),
        {
            "release": "aarch64 riscv64 x86_64",
            "left_out": {"sw64": "failed"},
            "reasons": ["sw64 (optional) failed: because; left out"],
        },
    ),
    "an optional arch is carried over": (
        Case({**ALL_GOOD, "riscv64": "timed-out"}, before=USUAL, carry_over=True),
        {
            "release": "aarch64 (riscv64) sw64 x86_64",
            "reasons": ["riscv64 (optional) timed-out: because; carried over from the previous index"],
        },
    ),
    "one optional arch is carried over, the other was never there": (
        Case({**ALL_GOOD, "riscv64": "failed", "sw64": "refused"}, before=("riscv64",), carry_over=True),
        {
            "release": "aarch64 (riscv64) x86_64",
            "left_out": {"sw64": "refused"},
            "reasons": [
                "riscv64 (optional) failed: because; carried over from the previous index",
                "sw64 (optional) refused: because; left out",
            ],
        },
    ),
    "a good optional arch is new, not carried over": (
        Case(ALL_GOOD, before=USUAL, carry_over=True),
        {"release": "aarch64 riscv64 sw64 x86_64"},
    ),
    "every required arch and not every optional one was asked for": (
        Case(REQUIRED_GOOD, asked=("x86_64", "aarch64")),
        {
            "release": "aarch64 x86_64",
            "left_out": {"riscv64": "not-asked", "sw64": "not-asked"},
            "reasons": [
                "riscv64 (optional) was not asked for; left out",
                "sw64 (optional) was not asked for; left out",
            ],
        },
    ),
    "an optional arch that was not asked for is carried over": (
        Case(REQUIRED_GOOD, asked=("x86_64", "aarch64"), before=USUAL, carry_over=True),
        {
            "release": "aarch64 (riscv64) (sw64) x86_64",
            "reasons": [
                "riscv64 (optional) was not asked for; carried over from the previous index",
                "sw64 (optional) was not asked for; carried over from the previous index",
            ],
        },
    ),
    "a good candidate is in no release": (
        Case({**ALL_GOOD, "s390x": "built"}, asked=(*USUAL, "s390x")),
        {
            "release": "aarch64 riscv64 sw64 x86_64",
            "reasons": ["s390x (candidate) is good; a candidate is in no release"],
        },
    ),
    "a bad candidate is in nobody's way": (
        Case({**ALL_GOOD, "s390x": "failed"}, asked=(*USUAL, "s390x")),
        {
            "release": "aarch64 riscv64 sw64 x86_64",
            "reasons": ["s390x (candidate) failed: because; a candidate is in no release"],
        },
    ),
    "a candidate that was in the index before is not carried over": (
        Case(ALL_GOOD, before=(*USUAL, "s390x"), carry_over=True),
        {"release": "aarch64 riscv64 sw64 x86_64"},
    ),
    "narrowed to one required arch": (
        Case({"x86_64": "built"}, asked=("x86_64",)),
        {
            "partial": "x86_64",
            "reasons": ["a release needs aarch64 too, which this run was not asked for"],
        },
    ),
    "narrowed: nothing is carried over": (
        Case({"x86_64": "built", "sw64": "failed"}, asked=("x86_64", "sw64"), before=USUAL, carry_over=True),
        {
            "partial": "x86_64",
            "left_out": {"sw64": "failed"},
            "reasons": [
                "a release needs aarch64 too, which this run was not asked for",
                "sw64 (optional) failed: because",
            ],
        },
    ),
    "narrowed to a required arch, which failed": (
        Case({"x86_64": "failed", "sw64": "built"}, asked=("x86_64", "sw64")),
        {
            "partial": "",
            "left_out": {"x86_64": "failed"},
            "reasons": [
                "x86_64 (required) failed: because",
                "a release needs aarch64 too, which this run was not asked for",
            ],
        },
    ),
    "narrowed to a candidate": (
        Case({"s390x": "built"}, asked=("s390x",)),
        {
            "partial": "s390x",
            "reasons": ["a release needs aarch64, x86_64 too, which this run was not asked for"],
        },
    ),
    "narrowed, and of one cell nothing was heard": (
        Case({"sw64": "built"}, asked=("sw64", "s390x")),
        {
            "partial": "sw64",
            "left_out": {"s390x": "failed"},
            "reasons": [
                "a release needs aarch64, x86_64 too, which this run was not asked for",
                f"s390x (candidate) failed: {NO_ANSWER}",
            ],
        },
    ),
    "no result at all": (
        Case({}),
        {
            "blocked": "",
            "left_out": {"riscv64": "failed", "sw64": "failed"},
            "reasons": [
                f"x86_64 (required) failed: {NO_ANSWER}",
                f"aarch64 (required) failed: {NO_ANSWER}",
                f"riscv64 (optional) failed: {NO_ANSWER}; left out",
                f"sw64 (optional) failed: {NO_ANSWER}; left out",
            ],
        },
    ),
    "an arch without this variant is passed over": (
        Case(REQUIRED_GOOD, asked=USUAL, roles={"x86_64": "required", "aarch64": "required"}),
        {"release": "aarch64 x86_64"},
    ),
    "a result that nobody asked for does not count": (
        Case(
            {**REQUIRED_GOOD, "sw64": "built"},
            asked=("x86_64", "aarch64"),
            roles={**ROLES, "riscv64": "candidate"},
        ),
        {
            "release": "aarch64 x86_64",
            "left_out": {"sw64": "not-asked"},
            "reasons": ["sw64 (optional) was not asked for; left out"],
        },
    ),
    "no arch is required: all good ones make the release": (
        Case(
            {"x86_64": "failed", "sw64": "built"},
            ("x86_64", "sw64"),
            roles=dict.fromkeys(("x86_64", "sw64"), "optional"),
        ),
        {
            "release": "sw64",
            "left_out": {"x86_64": "failed"},
            "reasons": ["x86_64 (optional) failed: because; left out"],
        },
    ),
    "no arch is required, and none is good: what was there stays": (
        Case({"sw64": "failed"}, ("sw64",), before=("sw64",), carry_over=True, roles={"sw64": "optional"}),
        {
            "blocked": "",
            "reasons": [
                "no arch of the release is good",
                "sw64 (optional) failed: because; carried over from the previous index",
            ],
        },
    ),
    "no arch is required: leaving one out narrows the run": (
        Case({"sw64": "built"}, ("sw64",), roles={"sw64": "optional", "x86_64": "optional"}),
        {"partial": "sw64", "reasons": ["a release needs x86_64 too, which this run was not asked for"]},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_table(name: str) -> None:
    case, expected = TABLE[name]
    assert told(case.decide()) == expected


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_of_a_required_and_an_optional_arch(outcome: Outcome) -> None:
    required = Case({**ALL_GOOD, "x86_64": outcome}).decide()
    optional = Case({**ALL_GOOD, "sw64": outcome}).decide()
    good = outcome in GOOD
    assert required.release is good
    assert bool(required.entries) is good
    assert optional.release
    assert dict(optional.left_out) == ({} if good else {"sw64": outcome})


def test_images_are_the_new_ones_and_carried_ones_the_old() -> None:
    decision = Case({**ALL_GOOD, "sw64": "failed"}, before=USUAL, carry_over=True).decide()
    found = {entry.arch: entry.descriptor for entry in decision.entries}
    assert found["x86_64"] == descriptor("x86_64", "now")
    assert found["sw64"] == descriptor("sw64", "before")


def test_annotations_name_what_is_left_out_and_carried() -> None:
    decision = Case({**REQUIRED_GOOD, "riscv64": "failed"}, before=("riscv64",), carry_over=True).decide()
    assert decision.left_out_text == "sw64: failed"
    assert decision.carried_text == "riscv64"
    nothing = Case(ALL_GOOD).decide()
    assert nothing.left_out_text == nothing.carried_text == ""


def test_annotations_do_not_depend_on_how_a_failure_was_worded() -> None:
    words = ("x.c:3: error", "y.c:9: error")
    bad = [CellResult("sw64", "1.38.0", "static", "failed", reason) for reason in words]
    good = [cell(arch, "built") for arch in ("x86_64", "aarch64", "riscv64")]
    one, other = (decide([*good, result], ROLES, USUAL, {}, carry_over=False) for result in bad)
    assert one.left_out_text == other.left_out_text == "sw64: failed"
    assert one.reasons != other.reasons


def test_a_good_outcome_without_a_candidate_is_not_good() -> None:
    cells = [cell("aarch64", "built"), CellResult("x86_64", "1.38.0", "static", "reused")]
    decision = decide(cells, ROLES, USUAL, {}, carry_over=False)
    assert not decision.release
    assert decision.reasons[0] == "x86_64 (required) failed: reused, but without a candidate"


def test_two_results_of_one_arch() -> None:
    with pytest.raises(PolicyError, match="two results for sw64"):
        decide([cell("sw64", "built"), cell("sw64", "failed")], ROLES, USUAL, {}, carry_over=False)


def test_results_of_two_releases() -> None:
    other = CellResult("x86_64", "1.37.0", "static", "failed", "because")
    with pytest.raises(PolicyError, match="results of 2 releases"):
        decide([cell("sw64", "built"), other], ROLES, USUAL, {}, carry_over=False)
