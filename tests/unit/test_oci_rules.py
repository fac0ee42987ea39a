"""The rules that other tests hold what is written against do find what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ocirules import LAYOUT, SCHEMAS, all_complaints, complaints
from sealedbed import put_release, seal

from minios_steps.core.oci import media
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore

if TYPE_CHECKING:
    from pathlib import Path

HEX = "sha256:" + "a" * 64
ENTRY = {"mediaType": media.MANIFEST, "digest": HEX, "size": 1}
INDEX = {"schemaVersion": 2, "mediaType": media.INDEX, "manifests": [ENTRY]}
CONFIG = {"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [HEX]}}


def test_a_release_with_all_that_refers_to_it(tmp_path: Path) -> None:
    store = LayoutStore(Layout(tmp_path / "out"))
    seal(store, put_release(store, tmp_path))
    assert all_complaints(store, "latest") == []
    assert complaints((tmp_path / "out" / "oci-layout").read_bytes(), LAYOUT) == []


@pytest.mark.parametrize(
    ("kind", "told", "wrong"),
    [
        (media.INDEX, {**INDEX, "schemaVersion": 1}, "schemaVersion: 2 was expected"),
        (media.INDEX, {**INDEX, "manifests": [{**ENTRY, "digest": "sha256:A"}]}, "manifests/0/digest:"),
        (media.INDEX, {**INDEX, "manifests": [{**ENTRY, "size": "1"}]}, "manifests/0/size:"),
        (media.INDEX, {**INDEX, "manifests": [{**ENTRY, "platform": {"os": "linux"}}]}, "'architecture'"),
        (media.INDEX, {**INDEX, "annotations": {"a": 1}}, "annotations/a:"),
        (media.MANIFEST, INDEX, "'config' is a required property"),
        (media.CONFIG, {**CONFIG, "created": "yesterday"}, "created:"),
        (media.CONFIG, {**CONFIG, "config": {"Env": ["PATH"]}}, "config/Env/0:"),
        (media.CONFIG, {**CONFIG, "rootfs": {"type": "layers"}}, "'diff_ids'"),
    ],
)
def test_what_is_wrong(kind: str, told: dict[str, Any], wrong: str) -> None:
    assert any(wrong in line for line in complaints(json.dumps(told).encode(), SCHEMAS[kind]))
