"""Candidate, optional, required and back; and what `minios.yaml` looks like then."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from configbed import ROOT
from releasebed import MINIOS, cell, make_project, put_candidate

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.roles_file import with_role
from minios_steps.core.errors import ConfigError, PolicyError
from minios_steps.core.ladder import demoted, good_candidate, promoted, retired, smoke_of

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.base import Role
    from minios_steps.core.config.project import Project

PASSED = ({"name": "echo", "outcome": "passed", "detail": ""},)


@pytest.fixture
def store(tmp_path: Path) -> CandidateStore:
    return CandidateStore(tmp_path / "store")


def with_candidate(project: Project, store: CandidateStore, smoke: Any) -> None:
    """A candidate of sw64 whose smoke test ended so."""
    record = put_candidate(store, project, cell(arch="sw64"))
    store.record(dataclasses.replace(record, smoke=smoke))


def role_of(folder: Path, role: str) -> Project:
    return make_project(folder, {"minios.yaml": MINIOS.replace("sw64: optional", f"sw64: {role}")})


@pytest.mark.parametrize(
    ("role", "higher"), [("retired", "candidate"), ("candidate", "optional"), ("optional", "required")]
)
def test_up(tmp_path: Path, store: CandidateStore, role: str, higher: Role) -> None:
    project = role_of(tmp_path / "config", role)
    with_candidate(project, store, PASSED)
    assert promoted(project, store, "sw64") == higher


def test_up_takes_a_candidate_that_ran(tmp_path: Path, store: CandidateStore) -> None:
    project = role_of(tmp_path / "config", "candidate")
    with pytest.raises(PolicyError, match="arch sw64 cannot be optional: no candidate") as error:
        promoted(project, store, "sw64")
    assert error.value.hint.startswith("minios matrix --arch sw64")
    failed = {"name": "ls", "outcome": "failed", "detail": ""}
    skipped = {"name": "ls", "outcome": "skipped", "detail": ""}
    for smoke, word in (((), "not run"), ((skipped,), "not run"), ((*PASSED, failed), "failed")):
        with_candidate(project, store, smoke)
        assert good_candidate(project, store, "sw64") is None
        [record] = [found for found in (store.latest("sw64", "1.38.0", "static"),) if found]
        assert smoke_of(record) == word
    with_candidate(project, store, (*PASSED, skipped))
    assert promoted(project, store, "sw64") == "optional"


def test_up_takes_a_candidate_that_is_whole(tmp_path: Path, store: CandidateStore) -> None:
    project = role_of(tmp_path / "config", "optional")
    with_candidate(project, store, PASSED)
    found = good_candidate(project, store, "sw64")
    assert found
    path = store.root / "blobs" / "sha256" / found.descriptor.digest.hex
    path.write_bytes(b"damaged")
    with pytest.raises(PolicyError):
        promoted(project, store, "sw64")


def test_back_from_retirement_needs_nothing(tmp_path: Path, store: CandidateStore) -> None:
    assert promoted(role_of(tmp_path / "config", "retired"), store, "sw64") == "candidate"


def test_down(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert demoted(project, "x86_64") == "optional"
    assert demoted(project, "sw64") == "candidate"
    assert retired(project, "sw64") == "retired"
    assert retired(project, "riscv64") == "retired"


def test_no_way(tmp_path: Path, store: CandidateStore) -> None:
    project = make_project(tmp_path / "one")
    with pytest.raises(PolicyError, match="arch x86_64 is required: there is no higher role"):
        promoted(project, store, "x86_64")
    with pytest.raises(PolicyError, match="arch riscv64 is candidate: there is no lower role") as error:
        demoted(project, "riscv64")
    assert error.value.hint == "minios arch retire riscv64 stops building it"
    with pytest.raises(PolicyError, match="arch x86_64 is required: releases wait for it") as error:
        retired(project, "x86_64")
    assert error.value.hint == "first: minios arch demote x86_64"
    with pytest.raises(PolicyError, match="arch sw64 is retired already"):
        retired(role_of(tmp_path / "two", "retired"), "sw64")


YAML = """\
# What to build.
image:
  name: tiny
arches:
  # The common one.
  x86_64: required
  "arm 64":   optional  # a quoted one
  sw64: optional
  # Nothing below.
tags: {}
"""


@pytest.mark.parametrize(
    ("arch", "role", "old", "new"),
    [
        ("sw64", "candidate", "  sw64: optional\n", "  sw64: candidate\n"),
        ("x86_64", "optional", "  x86_64: required\n", "  x86_64: optional\n"),
        (
            "arm 64",
            "required",
            '"arm 64":   optional  # a quoted one\n',
            '"arm 64":   required  # a quoted one\n',
        ),
        ("s390x", "optional", "  sw64: optional\n", "  sw64: optional\n  s390x: optional\n"),
    ],
)
def test_one_line_changes(tmp_path: Path, arch: str, role: Role, old: str, new: str) -> None:
    path = tmp_path / "minios.yaml"
    path.write_text(YAML, "utf-8")
    assert with_role(path, arch, role) == YAML.replace(old, new)
    assert path.read_text("utf-8") == YAML


def test_last_line_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "minios.yaml"
    path.write_text("arches:\n  x86_64: required", "utf-8")
    assert with_role(path, "sw64", "optional") == "arches:\n  x86_64: required\n  sw64: optional\n"
    assert with_role(path, "x86_64", "optional") == "arches:\n  x86_64: optional\n"


@pytest.mark.parametrize(
    "text",
    [
        "arches: {x86_64: required, sw64: optional}\n",
        "arches:\n  x86_64: required\n  sw64:\n    optional\n",
        "arches: {}\n",
        "image: x\n",
    ],
)
def test_layouts_that_cannot_be_changed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "minios.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="the role of sw64 cannot be changed as `arches` is laid out"):
        with_role(path, "sw64", "candidate")


def test_the_real_file() -> None:
    real = ROOT / "config" / "minios.yaml"
    text = real.read_text("utf-8")
    assert with_role(real, "sw64", "retired") == text.replace("sw64: optional", "sw64: retired")
