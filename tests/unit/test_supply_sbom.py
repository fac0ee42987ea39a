from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from releasebed import cell, make_project, put_candidate
from tinyelf import make_elf

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry
from minios_steps.core.errors import ElfError
from minios_steps.core.oci.image import build_image
from minios_steps.core.oci.layout import Layout
from minios_steps.core.platform import Platform
from minios_steps.core.supply.attachments import describe
from minios_steps.core.supply.bill import described, encode_bill
from minios_steps.core.supply.contents import read_contents
from minios_steps.core.supply.sbom import bill
from minios_steps.core.tarball import write_layer

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.supply.material import Material

IDENTITY = f"""\
Using built-in specs.
gcc version 12.2.0 (Debian 12.2.0-14)
target x86_64-linux-gnu
libc glibc 2.36
linux headers 6.1.187
linker GNU ld (GNU Binutils for Debian) 2.40
crt1.o {"c" * 64}
libc.a {"a" * 64}
libc.so.6 {"d" * 64}
"""
PATCH = ("f" * 64, "tc.patch")
LOADER = make_elf(62, soname="ld-linux-x86-64.so.2")
LIBC = make_elf(62, soname="libc.so.6")
LIBRARIES = (
    Entry("lib64", "dir", 0o755),
    Entry("lib64/ld-linux-x86-64.so.2", "file", 0o755, data=LOADER),
    Entry("lib64/libc.so.6", "file", 0o755, data=LIBC),
    Entry("lib64/libgcc_s.so.1", "file", 0o755, data=make_elf(62, soname="libgcc_s.so.1")),
)


def material(folder: Path, variant: str = "static", identity: str = IDENTITY) -> Material:
    project = make_project(folder / "config")
    store = CandidateStore(folder / "store")
    dynamic = variant == "dynamic"
    program = make_elf(62, kind=2, interpreter="/lib64/ld-linux-x86-64.so.2" if dynamic else "")
    record = put_candidate(
        store, project, cell(), program=program, entries=LIBRARIES if dynamic else (), variant=variant
    )
    made = describe(record.descriptor, record.inputs, project, store.layout, {PATCH[0]: PATCH[1]})
    inputs = replace(made.inputs, toolchain=identity, patches=(PATCH[0], "e" * 64), variant=variant)
    return replace(made, inputs=inputs)


def parts(made: Material) -> dict[str, Any]:
    return {one["bom-ref"]: one for one in document(made)["components"]}


def document(made: Material) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(encode_bill(bill(made)))
    return told


@pytest.mark.parametrize("variant", ["static", "dynamic"])
def test_it_is_valid(variant: str, tmp_path: Path) -> None:
    raw = encode_bill(bill(material(tmp_path, variant))).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(raw) is None


def test_it_is_of_the_image(tmp_path: Path) -> None:
    made = material(tmp_path)
    told = document(made)
    image = told["metadata"]["component"]
    assert image["type"] == "container"
    assert image["version"] == "1.38.0"
    assert image["purl"] == f"pkg:oci/tiny@{made.descriptor.digest}?arch=amd64"
    assert described(told) == ("tiny", made.descriptor.digest)
    assert bill(made).subject == made.descriptor.digest


def test_busybox(tmp_path: Path) -> None:
    made = material(tmp_path)
    busybox = parts(made)["busybox"]
    assert busybox["cpe"] == "cpe:2.3:a:busybox:busybox:1.38.0:*:*:*:*:*:*:*"
    assert busybox["purl"] == "pkg:generic/busybox@1.38.0"
    assert busybox["licenses"] == [{"license": {"id": "GPL-2.0-only"}}]
    assert busybox["hashes"] == [{"alg": "SHA-256", "content": Digest.of(make_elf(62, kind=2)).hex}]
    (source,) = busybox["externalReferences"]
    assert source["type"] == "source-distribution"
    assert source["hashes"] == [{"alg": "SHA-256", "content": made.inputs.source_sha256}]
    urls = [one["diff"]["url"] for one in busybox["pedigree"]["patches"]]
    assert sorted(urls) == ["patches/eeeeeeeeeeee", "patches/tc.patch"]
    properties = {one["name"]: one["value"] for one in busybox["properties"]}
    assert properties["org.minios.patch:tc.patch"] == f"sha256:{PATCH[0]}"


def test_what_a_static_program_has_inside(tmp_path: Path) -> None:
    found = parts(material(tmp_path))
    assert set(found) == {"busybox", "glibc", "libgcc", "gcc", "binutils"}
    libc = found["glibc"]
    assert (libc["version"], libc["licenses"]) == ("2.36", [{"license": {"id": "LGPL-2.1-or-later"}}])
    assert libc["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert libc["cpe"] == "cpe:2.3:a:gnu:glibc:2.36:*:*:*:*:*:*:*"
    assert found["libgcc"]["licenses"] == [{"expression": "GPL-3.0-or-later WITH GCC-exception-3.1"}]
    assert found["gcc"]["scope"] == found["binutils"]["scope"] == "excluded"
    assert (found["gcc"]["version"], found["binutils"]["version"]) == ("12.2.0", "2.40")


def test_the_libraries_of_a_dynamic_image(tmp_path: Path) -> None:
    found = parts(material(tmp_path, "dynamic"))
    assert found["/lib64/libc.so.6"]["hashes"] == [{"alg": "SHA-256", "content": Digest.of(LIBC).hex}]
    assert found["/lib64/libc.so.6"]["licenses"] == [{"license": {"id": "LGPL-2.1-or-later"}}]
    assert found["/lib64/libgcc_s.so.1"]["licenses"][0]["expression"].startswith("GPL-3.0-or-later WITH")
    assert found["/lib64/ld-linux-x86-64.so.2"]["name"] == "ld-linux-x86-64.so.2"
    assert "libgcc" not in found
    assert "hashes" not in found["glibc"]


def test_musl(tmp_path: Path) -> None:
    identity = IDENTITY.replace("libc glibc 2.36", "libc musl")
    libc = parts(material(tmp_path, identity=identity))["musl"]
    assert libc["licenses"] == [{"license": {"id": "MIT"}}]
    assert "version" not in libc


def test_a_toolchain_that_says_nothing(tmp_path: Path) -> None:
    assert set(parts(material(tmp_path, identity=""))) == {"busybox"}


def test_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = (material(tmp_path / name) for name in ("one", "two"))
    assert encode_bill(bill(one)) == encode_bill(bill(two))
    told = document(one)
    assert told["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    other = replace(one, descriptor=replace(one.descriptor, digest=Digest("0" * 64)))
    assert document(other)["serialNumber"] != told["serialNumber"]


def test_an_image_without_busybox(tmp_path: Path) -> None:
    project = make_project(tmp_path / "config")
    store = CandidateStore(tmp_path / "store")
    record = put_candidate(store, project, cell(), program=b"#!/bin/sh\n")
    with pytest.raises(ElfError, match="has no program bin/busybox"):
        read_contents(store.layout, record.descriptor)


def test_program_under_the_name_that_an_engine_gave_it(tmp_path: Path) -> None:
    """A Docker engine packs a file that has several names under the first of them."""
    program = make_elf(kind=2)
    tree = [
        Entry("bin", "dir", 0o755),
        Entry("bin/ash", "file", 0o755, data=program),
        Entry("bin/busybox", "hardlink", 0o755, target="bin/ash"),
    ]
    image = build_image(
        write_layer(tree, tmp_path / "layer.tar.gz", 0),
        Platform("linux", "amd64"),
        epoch=0,
        command=("/bin/sh",),
        labels={},
        annotations={},
    )
    layout = Layout(tmp_path / "out")
    layout.put_file(image.layer.path, image.layer.digest)
    for blob in (image.config, image.manifest):
        layout.put_bytes(blob)
    found = read_contents(layout, image.descriptor)
    assert (found.program.path, found.program.sha256) == ("bin/busybox", Digest.of(program).hex)
    assert found.libraries == ()
