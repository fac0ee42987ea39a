"""The bill of materials of one image, in CycloneDX 1.6, written by the CycloneDX project's own library.

What is in the image comes from its layers' bytes; what it was made with from the cell's
inputs. The same image and inputs give the same bytes: the serial number is made from the
image's digest, and the time is the release's own (`SOURCE_DATE_EPOCH`).
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import TYPE_CHECKING, Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType, Diff, Patch, Pedigree
from cyclonedx.model.component import PatchClassification as PatchKind
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from minios_steps.core.oci import annotations as keys
from minios_steps.core.supply.statement import CYCLONEDX, Statement
from minios_steps.core.supply.tools import LICENCES, VENDORS, Tool, read_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cyclonedx.model.license import License

    from minios_steps.core.digest import Digest
    from minios_steps.core.supply.contents import Binary
    from minios_steps.core.supply.material import Material

UPSTREAM = "https://busybox.net/downloads"
_LINKAGE = "org.minios.linkage"
_PATCH = "org.minios.patch"
_PATH = "org.minios.path"


def bill(material: Material) -> Statement:
    """An image's bill of materials as the predicate of a statement about it."""
    document = json.loads(_document(material))
    return Statement(material.descriptor.digest, material.name, CYCLONEDX, document)


def _document(material: Material) -> str:
    inputs, facts = material.inputs, read_identity(material.inputs.toolchain)
    image = _image(material)
    busybox = _busybox(material)
    linked = list(_linked(material))
    libraries = [_library(binary, facts.libc) for binary in material.contents.libraries]
    tools = [_tool(tool) for tool in (facts.compiler, facts.linker) if tool.name]
    bom = Bom(
        serial_number=_serial(material.descriptor.digest),
        metadata=BomMetaData(
            timestamp=dt.datetime.fromtimestamp(inputs.epoch, dt.timezone.utc),
            component=image,
            tools=ToolRepository(components=[Component(name="minios", type=ComponentType.APPLICATION)]),
        ),
        components=[busybox, *linked, *libraries, *tools],
    )
    bom.register_dependency(image, [busybox, *libraries])
    bom.register_dependency(busybox, [*linked, *libraries])
    return str(JsonV1Dot6(bom).output_as_string())


def _serial(digest: Digest) -> uuid.UUID:
    """A name-based UUID (RFC 9562, version 5): the document is the only one of its image."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"urn:minios:sbom:{digest}")


def _image(material: Material) -> Component:
    inputs, digest = material.inputs, material.descriptor.digest
    about = {
        keys.CELL_KEY: str(inputs.key),
        keys.VARIANT: inputs.variant,
        "org.minios.platform": inputs.platform,
    }
    return Component(
        bom_ref=str(digest),
        type=ComponentType.CONTAINER,
        name=material.name,
        version=inputs.version,
        hashes=[_sha256(digest.hex)],
        purl=PackageURL(
            "oci", name=material.name, version=str(digest), qualifiers={"arch": inputs.platform.split("/")[1]}
        ),
        properties=_properties(about),
    )


def _busybox(material: Material) -> Component:
    inputs, program = material.inputs, material.contents.program
    source = ExternalReference(
        type=ExternalReferenceType.SOURCE_DISTRIBUTION,
        url=XsUri(f"{UPSTREAM}/busybox-{inputs.version}.tar.bz2"),
        hashes=[_sha256(inputs.source_sha256)],
    )
    patches = material.patch_names()
    changed = [
        Patch(type=PatchKind.UNOFFICIAL, diff=Diff(url=XsUri(f"patches/{name}"))) for name, _ in patches
    ]
    about = {_LINKAGE: inputs.variant, _PATH: program.path}
    return Component(
        bom_ref="busybox",
        type=ComponentType.APPLICATION,
        name="busybox",
        version=inputs.version,
        hashes=[_sha256(program.sha256)],
        licenses=_licences(material.licenses),
        cpe=_cpe("busybox", "busybox", inputs.version),
        purl=_purl("busybox", inputs.version),
        external_references=[source],
        pedigree=Pedigree(patches=changed) if changed else None,
        properties=[
            *_properties(about),
            *(Property(name=f"{_PATCH}:{name}", value=f"sha256:{sha256}") for name, sha256 in patches),
        ],
    )


def _linked(material: Material) -> Iterator[Component]:
    """The C library, and where code of it is inside BusyBox, the compiler's own library too."""
    inputs, facts = material.inputs, read_identity(material.inputs.toolchain)
    static = inputs.variant == "static"
    if facts.libc.name:
        measured = dict(facts.libc_files)
        yield _part(
            facts.libc,
            properties=_properties({_LINKAGE: inputs.variant}),
            hashes=[_sha256(measured["libc.a"])] if static and "libc.a" in measured else [],
        )
    if static and facts.runtime:
        yield _part(facts.runtime, properties=_properties({_LINKAGE: inputs.variant}))


def _library(binary: Binary, libc: Tool) -> Component:
    """A library that stands in the image; those of the compiler have another licence than the C library's."""
    origin = "libgcc" if binary.name.startswith("libgcc_s.") else libc.name
    return Component(
        bom_ref=f"/{binary.path}",
        type=ComponentType.LIBRARY,
        name=binary.name,
        version=(libc.version or None) if origin == libc.name else None,
        hashes=[_sha256(binary.sha256)],
        licenses=_licences(LICENCES.get(origin, "")),
        properties=_properties({_PATH: binary.path}),
    )


def _tool(tool: Tool) -> Component:
    """A build tool: nothing of it is needed at run time, which `excluded` says."""
    return _part(tool, type=ComponentType.APPLICATION, scope=ComponentScope.EXCLUDED)


def _part(tool: Tool, **more: Any) -> Component:
    vendor = VENDORS.get(tool.name, "")
    number = tool.version.split("-")[0]
    return Component(
        bom_ref=tool.name,
        name=tool.name,
        version=tool.version or None,
        licenses=_licences(LICENCES.get(tool.name, "")),
        cpe=_cpe(vendor, tool.name, number) if vendor and number else None,
        purl=_purl(tool.name, tool.version),
        **more,
    )


def _licences(text: str) -> list[License]:
    return [LicenseFactory().make_from_string(text)] if text else []


def _purl(name: str, version: str) -> PackageURL:
    return PackageURL("generic", name=name, version=version or None)


def _cpe(vendor: str, product: str, version: str) -> str:
    """A CPE 2.3 name (NISTIR 7695)."""
    return f"cpe:2.3:a:{vendor}:{product}:{version}:*:*:*:*:*:*:*"


def _sha256(content: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=content)


def _properties(told: Mapping[str, str]) -> Iterable[Property]:
    return [Property(name=name, value=value) for name, value in told.items()]
