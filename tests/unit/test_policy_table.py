"""The policy as a table: a run and what was there before on one side, the decision on the other."""

from __future__ import annotations

import pytest
from policybed import ALL_GOOD, REQUIRED_GOOD, ROLES, USUAL, Case, told

from minios_steps.core.policy import NO_ANSWER

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
