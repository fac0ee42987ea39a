from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from test_supply_sbom import IDENTITY, PATCH, material

from minios_steps.core.errors import ImageError
from minios_steps.core.supply.material import Invocation
from minios_steps.core.supply.provenance import BUILD_TYPE, cell_key, provenance, same_but_for_the_run
from minios_steps.core.supply.statement import Statement

if TYPE_CHECKING:
    from pathlib import Path

BUILDER = "https://ci.example/minios"
RUN = Invocation("matrix/17", "2026-01-02T03:04:05Z", "2026-01-02T03:14:05Z")


def definition(statement: Statement) -> dict[str, Any]:
    found: dict[str, Any] = statement.predicate["buildDefinition"]
    return found


def test_all_that_went_in(tmp_path: Path) -> None:
    made = material(tmp_path)
    told = provenance(made, BUILDER)
    assert (told.subject, told.predicate_type) == (made.descriptor.digest, "https://slsa.dev/provenance/v1")
    found = definition(told)
    assert found["buildType"] == BUILD_TYPE
    assert found["externalParameters"]["version"] == "1.38.0"
    assert found["externalParameters"]["kconfig"] == made.inputs.kconfig
    assert found["internalParameters"]["toolchain"] == IDENTITY
    digests = {one["name"]: one["digest"]["sha256"] for one in found["resolvedDependencies"]}
    assert digests == {
        "busybox-1.38.0.tar.bz2": made.inputs.source_sha256,
        f"patches/{PATCH[1]}": PATCH[0],
        "patches/eeeeeeeeeeee": "e" * 64,
        "rootfs": made.inputs.skeleton,
        "glibc/crt1.o": "c" * 64,
        "glibc/libc.a": "a" * 64,
        "glibc/libc.so.6": "d" * 64,
    }
    assert told.predicate["runDetails"] == {"builder": {"id": BUILDER}}


def test_the_cell_key_can_be_computed_from_it(tmp_path: Path) -> None:
    made = material(tmp_path)
    read = Statement.parse(provenance(made, BUILDER).encode())
    assert cell_key(read) == made.inputs.key


def test_the_run_only_where_it_is_given(tmp_path: Path) -> None:
    made = material(tmp_path)
    plain, told = provenance(made, BUILDER), provenance(made, BUILDER, RUN)
    assert provenance(made, BUILDER, Invocation()).encode() == plain.encode()
    assert told.predicate["runDetails"]["metadata"] == {
        "invocationId": "matrix/17",
        "startedOn": "2026-01-02T03:04:05Z",
        "finishedOn": "2026-01-02T03:14:05Z",
    }
    assert same_but_for_the_run(plain, told)
    assert not same_but_for_the_run(plain, provenance(made, "https://other.example"))
    other = replace(made, inputs=replace(made.inputs, epoch=1))
    assert not same_but_for_the_run(plain, provenance(other, BUILDER))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("buildType", "https://other.example"),
        ("externalParameters", None),
        ("externalParameters", {}),
        ("internalParameters", {"more": 1}),
    ],
)
def test_a_provenance_of_something_else(part: str, value: Any, tmp_path: Path) -> None:
    told = provenance(material(tmp_path), BUILDER)
    changed = replace(told, predicate={"buildDefinition": {**definition(told), part: value}})
    with pytest.raises(ImageError, match="provenance"):
        cell_key(changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Statement/v1", b"Statement/v9"),
        (b'"sha256":"', b'"sha512":"'),
        (b'"subject":[', b'"subject":[{},'),
        (b'"predicate":{', b'"predicated":{'),
        (b"{", b"["),
    ],
)
def test_what_is_no_statement(old: bytes, new: bytes, tmp_path: Path) -> None:
    raw = provenance(material(tmp_path), BUILDER).encode()
    assert old in raw
    head, _, rest = raw.rpartition(old) if old == b'"sha256":"' else raw.partition(old)
    with pytest.raises(ImageError):
        Statement.parse(head + new + rest)
