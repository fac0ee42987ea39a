from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.cli.main import run

from minios_steps.core.digest import Digest
from minios_steps.core.oci.artifact import Part, build_artifact
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.media import CONFIG, LAYER, MANIFEST
from minios_steps.core.oci.model import Descriptor, encode
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from pathlib import Path

LAYER_BYTES = b"layer" * 100
NOTE = "org.example.note"


def put_image(layout: Layout, platform: Platform, note: str) -> Descriptor:
    """One small image in a layout, not yet tagged."""

    def put(kind: str, data: bytes) -> Descriptor:
        return Descriptor(kind, layout.put_bytes(data), len(data))

    config = put(CONFIG, encode({**platform.as_json(), "rootfs": {"type": "layers", "diff_ids": []}}))
    layer = put(LAYER, LAYER_BYTES)
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.as_json(),
            "layers": [layer.as_json()],
            "annotations": {NOTE: note},
        }
    )
    layout.put_bytes(manifest)
    return Descriptor(MANIFEST, Digest.of(manifest), len(manifest), platform)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "out")
    images = [
        put_image(made, Platform("linux", "arm64", "v8"), "arm"),
        put_image(made, Platform("linux", "s390x"), "big\x1b[31m"),
    ]
    index = build_index(images, {NOTE: "both"})
    alone = Descriptor(images[1].media_type, images[1].digest, images[1].size)
    made.publish({"latest": index.descriptor, "single": alone}, raw=[index.raw])
    return made


def inspect(*words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(["inspect", *words])
    return done.value.code


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert inspect(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_whole_layout(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, str(layout.root))
    assert found["layout"] == str(layout.root)
    assert list(found["tags"]) == ["latest", "single"]
    index = found["tags"]["latest"]
    assert index["digest"] == str(layout.tags()["latest"].digest)
    assert index["annotations"] == {NOTE: "both"}
    assert [image["platform"] for image in index["images"]] == ["linux/arm64/v8", "linux/s390x"]
    arm = index["images"][0]
    assert arm["layers"] == [{"digest": str(Digest.of(LAYER_BYTES)), "size": 500}]
    assert arm["annotations"] == {NOTE: "arm"}
    assert 500 < arm["size"] < 1500


def test_image_without_an_index_takes_its_platform_from_its_config(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, f"oci:{layout.root}:single")
    assert list(found["tags"]) == ["single"]
    assert [image["platform"] for image in found["tags"]["single"]["images"]] == ["linux/s390x"]


def test_people_see_platforms_digests_and_annotations(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(f"{layout.root}:latest") == 0
    said = capsys.readouterr().out
    assert f"latest: {layout.tags()['latest'].digest}" in said
    assert "linux/arm64/v8" in said
    assert f"linux/s390x {NOTE}: big?[31m" in said
    assert "\x1b" not in said


def test_unknown_tag_lists_the_tags(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(f"{layout.root}:nope") == 2
    assert "no tag 'nope' (there are: latest, single)" in capsys.readouterr().err


def test_no_layout_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"minios: {tmp_path}: there is no OCI image layout\n  hint: ")


def test_damaged_blob_is_one_line(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    layout.blob_path(layout.tags()["single"].digest).write_bytes(b"{}")
    assert inspect(str(layout.root)) == 2
    said = capsys.readouterr()
    assert said.err.startswith("minios: ")
    assert "Traceback" not in said.err


def test_what_refers_to_index_and_images(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    index = layout.tags()["latest"]
    image = layout.tags()["single"]
    made = []
    for subject, kind in ((index, "application/x.seal"), (image, "application/x.sbom")):
        artifact = build_artifact(subject, kind, [Part("text/plain", b"note")])
        artifact.attach_to(LayoutStore(layout))
        made.append({"type": kind, "digest": str(Digest.of(artifact.manifest))})
    found = told(capsys, f"{layout.root}:latest")["tags"]["latest"]
    assert found["referrers"] == [made[0]]
    assert [image["referrers"] for image in found["images"]] == [[], [made[1]]]
    assert inspect(f"{layout.root}:latest") == 0
    said = capsys.readouterr().out
    assert f"  referrer application/x.seal: {made[0]['digest']}" in said
    assert f"linux/s390x referrer application/x.sbom: {made[1]['digest']}" in said
    assert list(told(capsys, str(layout.root))["tags"]) == ["latest", "single"], "they are no tags"


def test_by_digest(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    digest = str(layout.tags()["latest"].digest)
    found = told(capsys, f"{layout.root}@{digest}")["tags"]
    assert list(found) == [digest]
    assert found[digest]["digest"] == digest
