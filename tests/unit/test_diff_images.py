from __future__ import annotations

import dataclasses
import gzip
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from sectionelf import make_sections
from tinyelf import make_elf
from tinyimage import make_image, put_image

from minios_steps.core.diff.files import compare_layers
from minios_steps.core.diff.images import Side, compare
from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.docker_form import docker_form
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.platform import Platform
from minios_steps.core.tarball import LayerFile, write_layer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ENTRIES = (
    Entry("bin", "dir", 0o755),
    Entry("bin/busybox", "file", 0o755, data=make_sections([(".text", b"abc")])),
    Entry("bin/[", "hardlink", 0o755, target="bin/busybox"),
    Entry("bin/sh", "hardlink", 0o755, target="bin/busybox"),
    Entry("etc", "dir", 0o755),
    Entry("etc/motd", "file", 0o644, data=b"hello"),
    Entry("lib", "symlink", 0o777, target="usr/lib"),
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "out")


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    folder = tmp_path / "layers"
    folder.mkdir()
    return folder


def packed(folder: Path, entries: Sequence[Entry], epoch: int = 1700000000) -> bytes:
    return write_layer(entries, folder / "layer.tar.gz", epoch).path.read_bytes()


def changed(path: str, **changes: Any) -> list[Entry]:
    return [dataclasses.replace(e, **changes) if e.path == path else e for e in ENTRIES]


def told(before: bytes, after: bytes) -> list[str]:
    return [str(difference) for difference in compare_layers(before, after)]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (changed("etc/motd", mode=0o600), ["etc/motd: mode: 0644 → 0600"]),
        (changed("etc/motd", uid=5, gid=6), ["etc/motd: owner: 0:0 → 5:6"]),
        (changed("lib", target="lib64"), ["lib: link target: usr/lib → lib64"]),
        (
            changed("etc/motd", data=b"help!"),
            ["etc/motd: content: 5 bytes, first different at 0x3 → 5 bytes, first different at 0x3"],
        ),
        (
            changed("etc/motd", kind="dir", data=None),
            ["etc/motd: kind: file → dir"],
        ),
        (
            # Of the three names that the file has, one tells of it.
            changed("bin/busybox", data=make_sections([(".text", b"abd")])),
            ["bin/busybox: section .text: 3 bytes, at 0x2 63 → 3 bytes, at 0x2 64"],
        ),
        (changed("bin/busybox", mode=0o700), ["bin/busybox: mode: 0755 → 0700"]),
        (
            changed("bin/busybox", data=b"\x7fELF broken"),
            ["bin/busybox: content: 276 bytes, first different at 0x4 → 11 bytes, first different at 0x4"],
        ),
        (ENTRIES[:-1], ["lib: only on one side: symlink → -"]),
        ((*ENTRIES[:3], *ENTRIES[4:]), ["bin/sh: only on one side: file → -"]),
    ],
)
def test_one_thing_in_a_tree(layers: Path, entries: Sequence[Entry], expected: list[str]) -> None:
    before = packed(layers, ENTRIES)
    found = told(before, packed(layers, entries))
    assert found == expected
    assert told(before, before) == []


def test_times(layers: Path) -> None:
    found = told(packed(layers, ENTRIES), packed(layers, ENTRIES, 1700000001))
    assert found[0] == "bin: mtime: 1700000000 → 1700000001"
    # Links to one file have its time.
    assert [line.partition(":")[0] for line in found] == ["bin", "bin/busybox", "etc", "etc/motd", "lib"]


def test_times_with_fractions_and_a_file_that_is_shared_no_more(layers: Path) -> None:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (("a", b"1"), ("b", b"1")):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1700000000.25  # type: ignore[assignment]
            archive.addfile(info, BytesIO(data))
    linked = [Entry("a", "file", 0o644, data=b"1"), Entry("b", "hardlink", 0o644, target="a")]
    assert told(packed(layers, linked), gzip.compress(stream.getvalue())) == [
        "b: shares its file with: a → b"
    ]


def side(layout: Layout, image: Any) -> Side:
    put_image(layout, image)
    return Side(LayoutStore(layout), image.descriptor)


def test_equal_images(layout: Layout, layers: Path) -> None:
    one = side(layout, make_image(layers))
    [found] = compare(one, side(layout, make_image(layers)))
    assert (found.of, found.before, found.after, found.differences) == ("linux/amd64", *[one.digest] * 2, ())


def test_manifest_config_and_labels(layout: Layout, layers: Path) -> None:
    before = side(layout, make_image(layers))
    after = side(layout, make_image(layers, key="sha256:" + "cd" * 32, version="1.39.0"))
    [found] = compare(before, after)
    assert [str(difference) for difference in found.differences] == [
        f"manifest: annotation org.minios.cell-key: sha256:{'ab' * 32} → sha256:{'cd' * 32}",
        "config: label org.opencontainers.image.version: 1.38.0 → 1.39.0",
    ]
    assert found.as_json()["differences"][1]["before"] == "1.38.0"


def test_layer_of_another_zlib(layout: Layout, layers: Path) -> None:
    image = make_image(layers)
    other = layers / "other.tar.gz"
    other.write_bytes(gzip.compress(gzip.decompress(image.layer.path.read_bytes()), 1, mtime=0))
    layer = LayerFile(other, Digest.of_file(other), image.layer.diff_id, other.stat().st_size, 0)
    manifest = image.manifest.replace(image.layer.digest.hex.encode(), layer.digest.hex.encode())
    manifest = manifest.replace(f'"size":{image.layer.size}'.encode(), f'"size":{layer.size}'.encode())
    layout.put_file(other, layer.digest)
    layout.put_bytes(manifest)
    again = Side(
        LayoutStore(layout),
        Descriptor(image.descriptor.media_type, Digest.of(manifest), len(manifest)),
    )
    [found] = compare(side(layout, image), again)
    assert [d.what for d in found.differences] == ["packed by another zlib"]


def test_images_of_two_cpus(layout: Layout, layers: Path) -> None:
    one = side(layout, make_image(layers))
    other = side(layout, make_image(layers, platform="linux/arm64/v8", program=make_elf(183, kind=2)))
    [found] = compare(one, other)
    assert found.of == "linux/amd64 and linux/arm64/v8"
    assert "config: architecture: amd64 → arm64" in map(str, found.differences)


def test_docker_form_of_an_image(layout: Layout, layers: Path) -> None:
    image = make_image(layers)
    docker = docker_form(image.descriptor, image.manifest, image.config)
    layout.put_bytes(docker.config)
    layout.put_bytes(docker.manifest)
    [found] = compare(side(layout, image), Side(LayoutStore(layout), docker.descriptor))
    assert {(d.where, d.what.split()[0]) for d in found.differences} == {
        ("manifest", "media"),
        ("manifest", "annotation"),
        ("config", "label"),
    }


def index(layout: Layout, images: list[Any], note: str = "one") -> Side:
    for image in images:
        put_image(layout, image)
    made = build_index([image.descriptor for image in images], {"org.example.note": note})
    layout.put_bytes(made.raw)
    return Side(LayoutStore(layout), made.descriptor)


def test_indexes_platform_by_platform(layout: Layout, layers: Path) -> None:
    amd = make_image(layers)
    arm, changed_arm = (
        make_image(layers, platform="linux/arm64/v8", program=make_sections([(".text", text)], machine=183))
        for text in (b"abc", b"abd")
    )
    riscv = make_image(layers, platform="linux/riscv64")
    found = compare(index(layout, [amd, arm, riscv]), index(layout, [amd, changed_arm], "two"))
    assert [(item.of, item.before == item.after) for item in found] == [
        ("index", False),
        ("linux/amd64", True),
        ("linux/arm64/v8", False),
        ("linux/riscv64", False),
    ]
    assert str(found[0].differences[0]) == "index: annotation org.example.note: one → two"
    assert str(found[2].differences[0]).startswith("bin/busybox: section .text")
    assert found[3].differences[0].what == "only on one side"
    [same] = compare(index(layout, [amd, arm]), Side(LayoutStore(layout), arm.descriptor))
    assert same.before == same.after
    [same] = compare(Side(LayoutStore(layout), arm.descriptor), index(layout, [amd, changed_arm]))
    assert same.before != same.after


@pytest.mark.parametrize("swapped", [False, True])
def test_platform_is_named_as_the_side_that_says_more_does(
    layout: Layout, layers: Path, *, swapped: bool
) -> None:
    sides = [index(layout, [make_image(layers, platform=f"linux/arm64{more}")]) for more in ("", "/v8")]
    found = compare(*(sides[::-1] if swapped else sides))
    assert [item.of for item in found] == ["index", "linux/arm64/v8"]


def test_indexes_that_differ_in_their_images_alone(layout: Layout, layers: Path) -> None:
    one, other = (make_image(layers, version=version) for version in ("1.38.0", "1.39.0"))
    found = compare(index(layout, [one]), index(layout, [other]))
    assert [d.what for d in found[0].differences] == ["images"]


def test_what_cannot_be_compared(layout: Layout, layers: Path) -> None:
    image = make_image(layers)
    alone = side(layout, make_image(layers, platform="linux/s390x"))
    with pytest.raises(ImageError, match="there is no image for linux/s390x in it"):
        compare(alone, index(layout, [image]))
    layout.blob_path(image.layer.digest).unlink()
    other = side(layout, make_image(layers, program=make_elf(kind=2, needed=["libc.so"])))
    with pytest.raises(ImageError, match="is missing"):
        compare(Side(LayoutStore(layout), image.descriptor), other)


def test_image_for_a_platform(layout: Layout, layers: Path) -> None:
    made = index(layout, [make_image(layers, platform="linux/arm64/v8")])
    assert made.image(Platform("linux", "arm64")).descriptor.platform == Platform("linux", "arm64", "v8")
