from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tinyimage import KEY, make_image

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import media
from minios_steps.core.oci.index import build_index, parse_index
from minios_steps.core.oci.model import Descriptor, RawManifest, encode
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from pathlib import Path

CHILD = Digest.of(b"child")


def entry(platform: str, digest: Digest = CHILD) -> Descriptor:
    return Descriptor(media.MANIFEST, digest, 5, Platform.parse(platform))


def test_config_says_what_image_spec_asks_for(tmp_path: Path) -> None:
    image = make_image(tmp_path, platform="linux/arm64/v8")
    assert json.loads(image.config) == {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "created": "2023-11-14T22:13:20Z",
        "config": {
            "Cmd": ["/bin/sh"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": {
                "org.opencontainers.image.title": "tiny",
                "org.opencontainers.image.version": "1.38.0",
            },
        },
        "history": [
            {
                "created": "2023-11-14T22:13:20Z",
                "created_by": "minios: BusyBox, skeleton and libraries in one layer",
            }
        ],
        "rootfs": {"type": "layers", "diff_ids": [str(image.layer.diff_id)]},
    }


def test_manifest_leads_to_config_and_layer(tmp_path: Path) -> None:
    image = make_image(tmp_path)
    assert json.loads(image.manifest) == {
        "schemaVersion": 2,
        "mediaType": media.MANIFEST,
        "config": {
            "mediaType": media.CONFIG,
            "digest": str(Digest.of(image.config)),
            "size": len(image.config),
        },
        "layers": [{"mediaType": media.LAYER, "digest": str(image.layer.digest), "size": image.layer.size}],
        "annotations": {"org.minios.cell-key": KEY, "org.minios.variant": "static"},
    }
    assert image.descriptor == Descriptor(
        media.MANIFEST, Digest.of(image.manifest), len(image.manifest), Platform("linux", "amd64")
    )


def test_same_image_twice_is_the_same_bytes(tmp_path: Path) -> None:
    one, two = make_image(tmp_path), make_image(tmp_path)
    assert (one.config, one.manifest, one.descriptor) == (two.config, two.manifest, two.descriptor)


def test_manifest_keeps_its_bytes() -> None:
    raw = (
        b' {"schemaVersion": 2, "layers": [], "config": '
        + encode(entry("linux/amd64").as_json())
        + b', "x": 1}\n'
    )
    manifest = RawManifest.parse(raw)
    assert (manifest.raw, manifest.digest, manifest.media_type) == (raw, Digest.of(raw), media.MANIFEST)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"schemaVersion": 1}', "not a manifest of OCI"),
        (b'{"schemaVersion": 2, "mediaType": ["x"]}', "not a manifest of OCI"),
        (
            b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}',
            "not a manifest of OCI",
        ),
        (b'{"schemaVersion": 2}', "no layers"),
        (b'{"schemaVersion": 2, "layers": []}', "config: not an object"),
        (
            b'{"schemaVersion": 2, "layers": [], "config": {"mediaType": "x", "digest": "md5:1", "size": 1}}',
            "sha256",
        ),
    ],
)
def test_malformed_manifests_are_refused(raw: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        RawManifest.parse(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": "5"},
        {"size": True},
        {"digest": 5},
        {"mediaType": None},
        {"platform": 5},
        {"platform": {"os": "linux"}},
        {"annotations": {"a": 1}},
    ],
)
def test_malformed_descriptors_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ImageError):
        Descriptor.from_json({**entry("linux/amd64").as_json(), **change})


def test_descriptor_survives_json() -> None:
    for item in (entry("linux/arm64/v8"), Descriptor("x", CHILD, 1, None, {"a": "b"})):
        assert Descriptor.from_json(json.loads(encode(item.as_json()))) == item


def test_index_is_sorted_and_canonical() -> None:
    entries = [entry("linux/riscv64"), entry("linux/amd64"), entry("linux/arm64/v8")]
    index = build_index(entries, {"b": "2", "a": "ü"})
    assert index.raw == build_index(entries[::-1], {"a": "ü", "b": "2"}).raw
    assert [str(found.platform) for found in index.entries] == [
        "linux/amd64",
        "linux/arm64/v8",
        "linux/riscv64",
    ]
    assert index.raw.startswith(b'{"annotations":{"a":"\\u00fc","b":"2"},"manifests":[{"digest":"sha256:')
    assert index.descriptor == Descriptor(media.INDEX, Digest.of(index.raw), len(index.raw))
    assert parse_index(index.raw) == index


def test_index_writes_the_variant_of_arm64() -> None:
    found = json.loads(build_index([entry("linux/arm64/v8")], {}).raw)["manifests"][0]["platform"]
    assert found == {"architecture": "arm64", "os": "linux", "variant": "v8"}


@pytest.mark.parametrize("pair", [("linux/arm64", "linux/arm64/v8"), ("linux/sw64", "linux/sw64")])
def test_index_refuses_two_of_one_platform(pair: tuple[str, str]) -> None:
    with pytest.raises(ImageError, match=f"two images for {pair[1]}: sha256:"):
        build_index([entry(pair[0]), entry(pair[1], Digest.of(b"other"))], {})


def test_index_refuses_what_has_no_place_in_it() -> None:
    with pytest.raises(ImageError, match="needs an image"):
        build_index([], {})
    with pytest.raises(ImageError, match="needs the platform"):
        build_index([Descriptor(media.MANIFEST, CHILD, 1)], {})
    with pytest.raises(ImageError, match="not an image manifest"):
        build_index([Descriptor(media.INDEX, CHILD, 1, Platform("linux", "amd64"))], {})


def test_docker_manifest_list_is_an_index_too() -> None:
    raw = encode(
        {"schemaVersion": 2, "mediaType": media.DOCKER_INDEX, "manifests": [entry("linux/amd64").as_json()]}
    )
    index = parse_index(raw)
    assert (index.media_type, index.raw, len(index.entries)) == (media.DOCKER_INDEX, raw, 1)


@pytest.mark.parametrize(
    "raw", [b"{}", b'{"schemaVersion": 2}', b'{"schemaVersion": 2, "manifests": [1]}', b"null"]
)
def test_malformed_indexes_are_refused(raw: bytes) -> None:
    with pytest.raises(ImageError, match=r"^x: "):
        parse_index(raw, "x")
