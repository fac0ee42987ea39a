from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.cli.main import run
from releasebed import ALL, IDENTITY, NEWEST, cell, make_project, put_candidate
from sectionelf import make_sections

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_result import CellResult
from minios_steps.core.oci.layout import Layout
from minios_steps.core.release import Releaser
from minios_steps.core.release_layout import LayoutTarget

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.cell_record import CellRecord

BEFORE, AFTER = (make_sections([(".text", text), (".bss", 64)]) for text in (b"abc", b"abd"))


class Bed:
    """A release of three arches in the configured layout; x86_64 was built twice, with other bytes."""

    def __init__(self, folder: Path) -> None:
        self.project = make_project(folder / "config")
        self.store = CandidateStore(folder / "state" / "store")
        other = CandidateStore(folder / "elsewhere")
        self.other = put_candidate(other, self.project, cell("x86_64"), program=AFTER)
        files = {digest: other.layout.blob_path(digest) for digest in other.blobs(self.other.descriptor)}
        self.cells = {arch: self._put(arch) for arch in ALL}
        self.store.put_other(self.other, files)
        target = LayoutTarget(Layout(folder / "out" / "minios"), self.store)
        results = [CellResult.built(cell(arch), made.as_json()) for arch, made in self.cells.items()]
        done = Releaser(self.project, self.store, target).publish(NEWEST, "static", results, ALL)
        self.index = done.report.index

    def _put(self, arch: str) -> CellRecord:
        program = BEFORE if arch == "x86_64" else None
        return put_candidate(self.store, self.project, cell(arch), program=program, identity=IDENTITY)


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return Bed(tmp_path)


def diff(*words: str) -> int:
    with pytest.raises(SystemExit) as done:
        run(["diff", "--config", "config", "--state", "state", *words])
    return int(str(done.value.code or 0))


def told(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert diff(*words, "--json") == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_section_is_shown(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = bed.cells["x86_64"].descriptor.digest.short, bed.other.descriptor.digest.short
    assert diff(before, after) == 1
    shown = capsys.readouterr().out
    assert f"linux/amd64: {before} → {after}" in shown
    assert ["bin/busybox", "section .text", "3 bytes, at 0x2 63", "3 bytes, at 0x2 64"] in [
        [part.strip() for part in line.split("  ") if part.strip()] for line in shown.splitlines()
    ]
    found = told(capsys, 1, before, after)
    assert found["equal"] is False
    [image] = found["compared"]
    assert image["differences"] == [
        {
            "where": "bin/busybox",
            "what": "section .text",
            "before": "3 bytes, at 0x2 63",
            "after": "3 bytes, at 0x2 64",
        }
    ]


@pytest.mark.parametrize(
    "name",
    [
        "{digest}",
        "{digest.hex}",
        "{key}",
        "{key.short}",
        "latest@x86_64",
        "1.38.0@linux/amd64",
        "out/minios:latest@x86_64",
        "oci:out/minios@{index}@x86_64",
        "out/minios@{digest}",
    ],
)
def test_every_name_of_an_image(bed: Bed, capsys: pytest.CaptureFixture[str], name: str) -> None:
    made = bed.cells["x86_64"]
    text = name.format(digest=made.descriptor.digest, key=made.key, index=bed.index)
    assert diff(text, "latest@x86_64") == 0
    assert capsys.readouterr().out == f"linux/amd64: equal, {made.descriptor.digest.short}\n"


def test_whole_releases(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, 0, "latest", bed.index)
    assert [item["of"] for item in found["compared"]] == ["index", "linux/amd64", "linux/arm64", "linux/sw64"]
    # An image and an index: the image of that platform.
    found = told(capsys, 1, bed.other.descriptor.digest.short, "latest")
    assert [item["of"] for item in found["compared"]] == ["linux/amd64"]


def test_digest_that_only_the_destination_has(
    bed: Bed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = bed.cells["sw64"]
    (tmp_path / "state" / "store" / "cells" / f"{made.key.hex}.json").unlink()
    assert diff(str(made.descriptor.digest), "latest@sw64") == 0
    assert "equal" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "nothing: neither a candidate in"),
        ("deadbeef01", "deadbeef01: neither a candidate in"),
        ("sha256:" + "1" * 64, "neither a candidate in"),
        ("no/such:tag", "no/such:tag: there is no such OCI layout, tag, candidate or cell key"),
        ("latest@mips", "unknown arch 'mips': the configuration has aarch64, riscv64, sw64, x86_64"),
        ("latest@riscv64", "there is no image for linux/riscv64 in it"),
        ("{key}@sw64", "is an image for linux/amd64, not for linux/sw64"),
        ("out/minios:nothing", "nothing"),
        ("docker://bad host/x", "not"),
    ],
)
def test_what_cannot_be_read(bed: Bed, capsys: pytest.CaptureFixture[str], name: str, message: str) -> None:
    assert diff("latest@x86_64", name.format(key=bed.cells["x86_64"].key)) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


def test_the_hint_can_be_typed(bed: Bed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert diff("latest", "nothing") == 2
    hint = f"minios release list oci:{tmp_path}/out/minios"
    assert f"`{hint}` shows its tags" in capsys.readouterr().err
    with pytest.raises(SystemExit) as done:
        run(hint.split()[1:])
    assert not done.value.code
    assert bed.index.removeprefix("sha256:")[:12] in capsys.readouterr().out


def test_beginning_of_several(bed: Bed, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    records = tuple(bed.cells.values())
    monkeypatch.setattr(CandidateStore, "named", lambda _store, _text: records)
    assert diff("latest@x86_64", "deadbeef") == 2
    told = ", ".join(record.descriptor.digest.short for record in records)
    assert f"deadbeef could be any of {told}" in capsys.readouterr().err


def test_long_lists_are_cut(bed: Bed, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("minios_master.cli.diff.MAX_SHOWN", 2)
    assert diff("latest@x86_64", "latest@sw64") == 1
    shown = capsys.readouterr().out
    assert "more; --json shows all" in shown
    assert len(told(capsys, 1, "latest@x86_64", "latest@sw64")["compared"][0]["differences"]) > 2
    assert bed.index.startswith("sha256:")
