from __future__ import annotations

import json
from typing import Any

import pytest

from minios_steps.core.cell_result import GOOD, CellResult
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, PolicyError
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.plan import Cell
from minios_steps.core.platform import Platform
from minios_steps.core.version import Version

CELL = Cell(Version(1, 38, 0), "static", "sw64")
DESCRIPTOR = Descriptor(
    "application/vnd.oci.image.manifest.v1+json", Digest("a" * 64), 400, Platform("linux", "sw64")
)
CANDIDATE = {"key": f"sha256:{'c' * 64}", "descriptor": DESCRIPTOR.as_json(), "size": 1234}
BUILT = CellResult.built(CELL, CANDIDATE, seconds=3.5)


def test_built() -> None:
    assert (
        CellResult(
            "sw64",
            "1.38.0",
            "static",
            "built",
            digest=f"sha256:{'a' * 64}",
            size=1234,
            seconds=3.5,
            key=CANDIDATE["key"],
            descriptor=DESCRIPTOR,
        )
        == BUILT
    )


def test_reused() -> None:
    assert CellResult.built(CELL, CANDIDATE, reused=True).outcome == "reused"


def test_a_candidate_without_a_descriptor() -> None:
    with pytest.raises(ImageError, match=r"sw64 1\.38\.0 static: candidate"):
        CellResult.built(CELL, {"key": "x"})


def test_bad_ends() -> None:
    bad = (
        CellResult.failed(CELL, "no room"),
        CellResult.timed_out(CELL, "too slow"),
        CellResult.no_worker(CELL, "attach one"),
    )
    assert [result.outcome for result in bad] == ["failed", "timed-out", "no-worker"]
    assert all(result.reason and result.outcome not in GOOD for result in bad)
    assert bad[2].attach == "attach one"


@pytest.mark.parametrize("result", [BUILT, CellResult.failed(CELL, "x"), CellResult.no_worker(CELL, "y")])
def test_json_round_trip(result: CellResult) -> None:
    assert CellResult.from_json(json.loads(json.dumps(result.as_json()))) == result


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"outcome": "fine"}, "not a cell's outcome: 'fine'"),
        ({"more": 1}, "not a cell's result: fields more"),
    ],
)
def test_json_that_is_none(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(PolicyError, match=expected):
        CellResult.from_json({**BUILT.as_json(), **change})
