"""What the policy's table cannot say; the table itself is in test_policy_table.py."""

from __future__ import annotations

from typing import get_args

import pytest
from policybed import ALL_GOOD, REQUIRED_GOOD, ROLES, USUAL, Case, cell, descriptor

from minios_steps.core.errors import PolicyError
from minios_steps.core.policy import GOOD, CellResult, Outcome, decide


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
