"""`minios reproduce` where an image or a record of one arch cannot be read."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from reproducebed import ReproduceBed, arches
from tinyelf import make_elf

from minios_steps.core.digest import Digest
from minios_steps.core.oci.model import RawManifest

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.records import CellOutcome

DIGEST = "sha256:" + "5" * 64


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReproduceBed:
    return ReproduceBed(tmp_path, monkeypatch)


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
@pytest.mark.parametrize("damage", ["missing", "other bytes"])
def test_image_that_cannot_be_read(
    bed: ReproduceBed, capsys: pytest.CaptureFixture[str], part: str, damage: str
) -> None:
    """It takes nothing from the others."""
    bed.release()
    bed.programs = {"aarch64": make_elf(183, kind=2, flags=7)}
    [digest] = [Digest.parse(one.digest) for one in bed.recorded.cells if one.arch == "aarch64"]
    manifest = RawManifest.parse(bed.layout.read(digest), "aarch64")
    parts = {"manifest": digest, "config": manifest.config.digest, "layer": manifest.layers[0].digest}
    blob = bed.layout.blob_path(parts[part])
    blob.unlink()
    if damage == "other bytes":
        blob.write_bytes(b"{}")
    found = arches(capsys, 1)
    assert {arch: one["outcome"] for arch, one in found.items()} == {
        "aarch64": "unknown",
        "sw64": "identical",
        "x86_64": "identical",
    }
    assert parts[part].hex[:12] in found["aarch64"]["reason"]
    assert found["aarch64"]["recorded"] == str(digest)
    # What has nothing to be compared with is not built.
    assert ("aarch64" in bed.runs[-1][1].arches) == (part != "manifest")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arch": "sw64"}, "its record's inputs are those of sw64 1.38.0 static"),
        ({"version": "1.37.0"}, "its record's inputs are those of aarch64 1.37.0 static"),
        ({"platform": "arm64"}, "not a platform: 'arm64'"),
        ({"kconfig": "TC=perhaps\n"}, "CONFIG_TC: not a value: 'perhaps'"),
        (
            {"labels": [["org.opencontainers.image.url", "nowhere"]]},
            "its record cannot be configured here: minios.yaml:3: image.title: ",
        ),
    ],
)
def test_record_of_one_arch_is_wrong(
    bed: ReproduceBed, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], reason: str
) -> None:
    """It takes nothing from the others either."""
    bed.release()
    cells = [
        dataclasses.replace(one, key="", inputs={**one.inputs, **changes}) if one.arch == "aarch64" else one
        for one in bed.recorded.cells
    ]
    bed.record(cells=tuple(cells))
    found = arches(capsys, 1)
    assert reason in found["aarch64"]["reason"]
    assert (found["aarch64"]["outcome"], found["x86_64"]["outcome"]) == ("unknown", "identical")
    assert bed.runs[-1][1].arches == ["sw64", "x86_64"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": {}}, "its record does not say what went into it"),
        ({"carried": True}, "it was kept from an earlier release; reproduce that one"),
        ({"key": DIGEST}, "its record's inputs have the key"),
        ({"inputs": {"version": 1}}, "a cell's recorded inputs are damaged"),
    ],
)
def test_record_that_does_not_say_enough(
    bed: ReproduceBed, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], reason: str
) -> None:
    bed.release()
    cells: list[CellOutcome] = [dataclasses.replace(one, **changes) for one in bed.recorded.cells]
    bed.record(cells=tuple(cells))
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    assert found["reason"].startswith(reason)
    assert found["recorded"]
