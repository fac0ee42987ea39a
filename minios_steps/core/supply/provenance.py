"""The provenance of one image: an in-toto statement with SLSA's predicate (SLSA, spec/build-provenance.md).

The same inputs and the same image give the same bytes, on any machine and at any time: all
that tells one run from another is `runDetails.metadata`, which is there only when somebody
gives it. `externalParameters` is what the configuration asks for, `internalParameters` what
the machine and this project add to it. Both together are a cell's inputs, by their names, so
that whoever reads them can compute the cell key again, which the image's annotation says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minios_steps.core.cellkey import CellInputs
from minios_steps.core.errors import ConfigError, ImageError
from minios_steps.core.supply.statement import PROVENANCE, Statement
from minios_steps.core.supply.tools import read_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.digest import Digest
    from minios_steps.core.supply.material import Invocation, Material

BUILD_TYPE = "urn:minios:build:busybox:v1"
"""How the parameters are to be read: as the inputs of a cell."""
_INTERNAL = ("toolchain", "prefix", "pipeline", "make_arch", "epoch")


def provenance(material: Material, builder: str, invocation: Invocation | None = None) -> Statement:
    """Write an image's provenance.

    Args:
        material: the image.
        builder: a URI for what built it, the machine and whoever may change what it does.
        invocation: the run; left out, the statement depends on nothing else.
    """
    inputs = material.inputs.as_json()
    run: dict[str, Any] = {"builder": {"id": builder}}
    if invocation and (told := _metadata(invocation)):
        run["metadata"] = told
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {name: inputs[name] for name in inputs if name not in _INTERNAL},
            "internalParameters": {name: inputs[name] for name in _INTERNAL},
            "resolvedDependencies": _dependencies(material),
        },
        "runDetails": run,
    }
    return Statement(material.descriptor.digest, material.name, PROVENANCE, predicate)


def same_but_for_the_run(one: Statement, other: Statement) -> bool:
    """Whether two statements differ at most in when, and by which run, an image was made."""
    return _timeless(one) == _timeless(other)


def cell_key(found: Statement) -> Digest:
    """The cell key of the inputs that a provenance lists.

    Raises:
        ImageError: it does not list a cell's inputs.
    """
    told = found.predicate.get("buildDefinition")
    parts = [
        told.get(f"{name}Parameters") if isinstance(told, dict) else None for name in ("external", "internal")
    ]
    if not isinstance(told, dict) or told.get("buildType") != BUILD_TYPE:
        raise ImageError("the provenance is of another type of build")
    inputs: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, dict):
            raise ImageError("the provenance lists no parameters")
        inputs |= part
    try:
        return CellInputs.from_json(inputs).key
    except ConfigError as error:
        raise ImageError(f"the provenance's parameters: {error.what}") from error


def _metadata(invocation: Invocation) -> dict[str, str]:
    told = {"invocationId": invocation.id, "startedOn": invocation.started, "finishedOn": invocation.finished}
    return {name: value for name, value in told.items() if value}


def _timeless(statement: Statement) -> tuple[Any, ...]:
    run = statement.predicate.get("runDetails")
    kept = (
        {name: value for name, value in run.items() if name != "metadata"} if isinstance(run, dict) else run
    )
    predicate: Mapping[str, Any] = {**statement.predicate, "runDetails": kept}
    return (statement.subject, statement.predicate_type, predicate)


def _dependencies(material: Material) -> list[dict[str, Any]]:
    """Everything with a digest that went in: source, patches, skeleton, the C library's own files."""
    inputs = material.inputs
    source = f"busybox-{inputs.version}.tar.bz2"
    found = [
        _resource(source, inputs.source_sha256, uri=f"pkg:generic/busybox@{inputs.version}"),
        *(_resource(f"patches/{name}", sha256) for name, sha256 in material.patch_names()),
        _resource("rootfs", inputs.skeleton),
    ]
    libc = read_identity(inputs.toolchain)
    found += [_resource(f"{libc.libc.name}/{name}", sha256) for name, sha256 in libc.libc_files]
    return found


def _resource(name: str, sha256: str, *, uri: str = "") -> dict[str, Any]:
    """A resource descriptor (in-toto attestation, spec/v1/resource_descriptor.md)."""
    told: dict[str, Any] = {"name": name, "digest": {"sha256": sha256}}
    return {**told, "uri": uri} if uri else told
