from __future__ import annotations

import dataclasses
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from tinyelf import make_arch, make_elf
from tinyimage import KEY, make_image

from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry
from minios_steps.core.errors import ElfError, ImageError, UnsafeArchiveError
from minios_steps.core.oci import media, verify
from minios_steps.core.oci.model import Descriptor, encode
from minios_steps.core.oci.verify import verify_candidate
from minios_steps.core.tarball import write_layer

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.oci.image import Image

AMD64 = make_arch()
ARM64 = make_arch("aarch64", (183,), architecture="arm64")
LOADER = "/lib64/ld-linux-x86-64.so.2"
DYNAMIC = make_elf(interpreter=LOADER, needed=["libc.so.6"])
LIBRARIES = (
    Entry("usr", "dir", 0o755),
    Entry("usr/lib64", "dir", 0o755),
    Entry("lib64", "symlink", 0o777, target="usr/lib64"),
    Entry("usr/lib64/ld-linux-x86-64.so.2", "file", 0o755, data=make_elf()),
    Entry("etc", "dir", 0o755),
    Entry("etc/mtab", "symlink", 0o777, target="/proc/mounts"),
)


class Source:
    """Blobs in memory that nobody checked."""

    def __init__(self, image: Image) -> None:
        self.blobs = {
            image.descriptor.digest: image.manifest,
            Digest.of(image.config): image.config,
            image.layer.digest: image.layer.path.read_bytes(),
        }

    def read(self, digest: Digest, limit: int) -> bytes:
        return self.blobs[digest][: limit + 1]


def check(image: Image, source: Source | None = None, **changes: Any) -> verify.VerifiedCandidate:
    told = {"arch": AMD64, "cell_key": KEY, "variant": "static", **changes}
    return verify_candidate(source or Source(image), image.descriptor, **told)


def rebuilt(
    image: Image,
    *,
    config: dict[str, Any] | None = None,
    manifest: dict[str, Any] | None = None,
    layer: bytes | None = None,
) -> tuple[Source, Descriptor]:
    """An image with parts changed, and every digest above them put right."""
    source = Source(image)

    def put(raw: bytes) -> dict[str, Any]:
        source.blobs[Digest.of(raw)] = raw
        return {"digest": str(Digest.of(raw)), "size": len(raw)}

    told = json.loads(image.manifest)
    told["config"].update(put(encode({**json.loads(image.config), **(config or {})})))
    if layer is not None:
        told["layers"][0].update(put(layer))
    raw = encode({**told, **(manifest or {})})
    place = put(raw)
    return source, Descriptor(media.MANIFEST, Digest.parse(place["digest"]), place["size"])


def test_good_candidate_is_described(tmp_path: Path) -> None:
    image = make_image(tmp_path)
    found = check(image)
    assert found.descriptor == image.descriptor
    assert (found.config, found.layer, found.diff_id) == (
        Digest.of(image.config),
        image.layer.digest,
        image.layer.diff_id,
    )
    assert found.size == len(image.config) + len(image.manifest) + image.layer.size
    assert (found.program.machine, found.program.interpreter) == (62, "")


def test_dynamic_candidate_needs_its_loader(tmp_path: Path) -> None:
    good = make_image(tmp_path, program=DYNAMIC, entries=LIBRARIES, variant="dynamic")
    assert check(good, variant="dynamic").program.interpreter == LOADER
    bad = make_image(tmp_path, program=DYNAMIC, variant="dynamic")
    with pytest.raises(ImageError, match=f"names the loader {LOADER}, which is not in the layer"):
        check(bad, variant="dynamic")
    foreign = [*LIBRARIES[:3], Entry("usr/lib64/ld-linux-x86-64.so.2", "file", 0o755, data=make_elf(183))]
    with pytest.raises(ElfError, match=r"ld-linux-x86-64\.so\.2: expected"):
        check(make_image(tmp_path, program=DYNAMIC, entries=foreign, variant="dynamic"), variant="dynamic")


def test_wrong_linkage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"is dynamic in a static image: it names {LOADER}"):
        check(make_image(tmp_path, program=DYNAMIC, entries=LIBRARIES))
    with pytest.raises(ImageError, match="is static in a dynamic image"):
        check(make_image(tmp_path, variant="dynamic"), variant="dynamic")


def test_other_cell_or_variant_is_refused(tmp_path: Path) -> None:
    image = make_image(tmp_path)
    with pytest.raises(
        ImageError, match=r"annotation org\.minios.cell-key: expected 'sha256:other', found 'sha256:abab"
    ):
        check(image, cell_key="sha256:other")
    with pytest.raises(
        ImageError, match=r"annotation org\.minios.variant: expected 'dynamic', found 'static'"
    ):
        check(image, variant="dynamic")


def test_program_may_be_held_by_another_of_its_names(tmp_path: Path) -> None:
    tree = [
        Entry("bin", "dir", 0o755),
        Entry("bin/ash", "file", 0o755, data=make_elf(kind=2)),
        Entry("bin/busybox", "hardlink", 0o755, target="bin/ash"),
    ]
    layer = write_layer(tree, tmp_path / "linked.tar.gz", 1700000000)
    rootfs = {"type": "layers", "diff_ids": [str(layer.diff_id)]}
    image = make_image(tmp_path)
    source, descriptor = rebuilt(image, layer=layer.path.read_bytes(), config={"rootfs": rootfs})
    assert verify_candidate(source, descriptor, AMD64, KEY, "static").program.machine == 62


def test_other_platform_is_refused(tmp_path: Path) -> None:
    image = make_image(tmp_path, platform="linux/arm64/v8")
    with pytest.raises(ImageError, match="expected an image for linux/amd64, found one for linux/arm64/v8"):
        check(image)
    lie = dataclasses.replace(
        make_image(tmp_path),
        descriptor=dataclasses.replace(make_image(tmp_path).descriptor, platform=image.descriptor.platform),
    )
    with pytest.raises(ImageError, match="found one for linux/arm64/v8"):
        check(lie)


def test_platforms_are_compared_normalised(tmp_path: Path) -> None:
    check(make_image(tmp_path, platform="linux/arm64/v8", program=make_elf(183, kind=2)), arch=ARM64)


def test_program_for_another_machine_is_refused(tmp_path: Path) -> None:
    image = make_image(tmp_path, platform="linux/arm64")
    with pytest.raises(ElfError, match=r"bin/busybox: expected .* 183 \(AArch64\), found .* 62 \(x86-64\)"):
        check(image, arch=ARM64)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("damage", ["flip", "short", "long", "gone"])
def test_every_blob_is_hashed_again(tmp_path: Path, which: int, damage: str) -> None:
    image = make_image(tmp_path)
    source = Source(image)
    digest = list(source.blobs)[which]
    data = source.blobs[digest]
    source.blobs[digest] = {
        "flip": data[:-1] + bytes([data[-1] ^ 1]),
        "short": data[:-1],
        "long": data + b" ",
        "gone": b"",
    }[damage]
    with pytest.raises(ImageError, match=rf"{digest}: (expected|its bytes)"):
        check(image, source)


def test_diff_id_is_counted_again(tmp_path: Path) -> None:
    image = make_image(tmp_path)
    source, descriptor = rebuilt(
        image, config={"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    )
    with pytest.raises(ImageError, match="diff id: the config says sha256:0000"):
        verify_candidate(source, descriptor, AMD64, KEY, "static")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rootfs": None}, "one diff id"),
        ({"rootfs": {"diff_ids": []}}, "one diff id"),
        ({"rootfs": {"diff_ids": [1]}}, "one diff id"),
        ({"os": ""}, "no os"),
        ({"architecture": 5}, "no os or no architecture"),
        ({"architecture": "riscv64"}, "found one for linux/riscv64"),
    ],
)
def test_bad_configs_are_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    source, descriptor = rebuilt(make_image(tmp_path), config=config)
    with pytest.raises(ImageError, match=message):
        verify_candidate(source, descriptor, AMD64, KEY, "static")


@pytest.mark.parametrize("change", [{"layers": []}, {"mediaType": media.DOCKER_MANIFEST}, {"config": None}])
def test_bad_manifests_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    source, descriptor = rebuilt(make_image(tmp_path), manifest=change)
    with pytest.raises(ImageError):
        verify_candidate(source, descriptor, AMD64, KEY, "static")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (b"plain", "not gzip"),
        (gzip.compress(b"x" * 100)[:-3], "cut short"),
        (gzip.compress(b"x") + gzip.compress(b"y"), "something follows it"),
    ],
    # A compressed text holds the time.
    ids=["plain", "cut", "two"],
)
def test_bad_layers_are_refused(tmp_path: Path, layer: bytes, message: str) -> None:
    source, descriptor = rebuilt(make_image(tmp_path), layer=layer)
    with pytest.raises(ImageError, match=message):
        verify_candidate(source, descriptor, AMD64, KEY, "static")


def test_bomb_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "TAR_LIMIT", 1 << 20)
    source, descriptor = rebuilt(make_image(tmp_path), layer=gzip.compress(bytes(8 << 20)))
    with pytest.raises(ImageError, match="unpacks to more than the 1,048,576 bytes allowed"):
        verify_candidate(source, descriptor, AMD64, KEY, "static")


def test_large_blobs_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "LAYER_LIMIT", 10)
    image = make_image(tmp_path)
    source = Source(image)
    del source.blobs[image.layer.digest]
    with pytest.raises(ImageError, match=r"layer sha256:.* bytes, 10 are allowed"):
        check(image, source)


def test_layer_without_busybox_is_refused(tmp_path: Path) -> None:
    tar = bytes(1024)
    config = {"rootfs": {"type": "layers", "diff_ids": [str(Digest.of(tar))]}}
    source, descriptor = rebuilt(make_image(tmp_path), config=config, layer=gzip.compress(tar))
    with pytest.raises(ImageError, match="the layer has no file bin/busybox"):
        verify_candidate(source, descriptor, AMD64, KEY, "static")


def test_layer_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    tar = b"x" * 1024
    config = {"rootfs": {"type": "layers", "diff_ids": [str(Digest.of(tar))]}}
    source, descriptor = rebuilt(make_image(tmp_path), config=config, layer=gzip.compress(tar))
    with pytest.raises(UnsafeArchiveError, match="layer: not a plain tar archive"):
        verify_candidate(source, descriptor, AMD64, KEY, "static")
