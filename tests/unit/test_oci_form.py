"""What a Docker engine pushed, in the form of an OCI release: another manifest, the same blobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from archbed import make_arch
from pushedbed import Rig
from tinyimage import KEY, make_image

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.oci_form import oci_form
from minios_steps.core.oci.verify import verify_candidate

if TYPE_CHECKING:
    from pathlib import Path


def test_same_blobs_under_a_manifest_that_is_verified(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    pushed_as = rig.push()
    pushed = rig.collect()
    raw, descriptor = oci_form(pushed_as, pushed.manifest, pushed.config)
    assert oci_form(pushed_as, pushed.manifest, pushed.config) == (raw, descriptor)
    assert (descriptor.media_type, descriptor.digest) == (media.MANIFEST, Digest.of(raw))
    assert descriptor.platform == pushed_as.platform
    told, before = json.loads(raw), json.loads(pushed.manifest)
    assert told["config"]["digest"] == before["config"]["digest"]
    assert told["layers"][0]["digest"] == before["layers"][0]["digest"]
    assert told["config"]["mediaType"] == media.CONFIG
    assert told["layers"][0]["mediaType"] == media.LAYER
    assert told["annotations"] == {keys.CELL_KEY: KEY, keys.VARIANT: "static"}
    rig.store.put(raw, media.MANIFEST)
    assert verify_candidate(rig.store, descriptor, make_arch(), KEY, "static").layer == rig.staged.digest


def test_only_from_dockers_form(tmp_path: Path) -> None:
    image = make_image(tmp_path)
    with pytest.raises(ImageError, match="not an image of gzipped layers in Docker's form"):
        oci_form(image.descriptor, image.manifest, image.config)
