"""What a worker pushed is believed after its bytes: a store that says something else is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from pushedbed import AARCH64, LABELS, TAG, Rig
from tinyelf import make_elf

from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry
from minios_steps.core.errors import ElfError, ImageError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci import media
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.store import RawResult
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.mark.parametrize("docker", [True, False])
def test_pushed_as_staged(rig: Rig, docker: bool) -> None:  # noqa: FBT001
    descriptor = rig.push(docker=docker)
    pushed = rig.collect()
    assert pushed.descriptor == descriptor
    assert pushed.manifest == rig.store.tagged[TAG].raw
    assert json.loads(pushed.config)["container"] == "7" * 64
    assert pushed.layer.path.read_bytes() == rig.staged.path.read_bytes()
    assert (pushed.layer.digest, pushed.layer.diff_id) == (rig.staged.digest, rig.staged.diff_id)
    assert pushed.layer.uncompressed == rig.staged.uncompressed
    # Each blob comes over the network once.
    assert len(rig.store.reads) == len(set(rig.store.reads)) == 2


def test_index_of_one_image(rig: Rig) -> None:
    descriptor = rig.push(docker=False)
    rig.store.put(rig.store.tagged[TAG].raw, media.MANIFEST)
    index = build_index([descriptor], {})
    rig.store.tagged[TAG] = RawResult(index.raw, media.INDEX, Digest.of(index.raw))
    assert rig.collect().descriptor == descriptor


def test_index_without_the_platform(rig: Rig) -> None:
    other = dataclasses.replace(rig.push(docker=False), platform=Platform("linux", "amd64"))
    index = build_index([other], {})
    rig.store.tagged[TAG] = RawResult(index.raw, media.INDEX, Digest.of(index.raw))
    with pytest.raises(ImageError, match=f"{TAG}: 0 images for linux/arm64 in it, expected one"):
        rig.collect()


def test_nothing_pushed(rig: Rig) -> None:
    with pytest.raises(ImageError, match="not there"):
        rig.collect()


def test_another_program_between_test_and_push(rig: Rig) -> None:
    rig.push(rig.image(rig.folder, program=make_elf(AARCH64, kind=2, flags=1)).layer)
    with pytest.raises(
        ImageError, match=r"is not what was staged: bin/busybox: content .* and 1 more"
    ) as caught:
        rig.collect()
    assert caught.value.what.startswith(f"what was pushed as {rig.store.name}:{TAG}")
    assert len(caught.value.details.splitlines()) == 2
    assert not (rig.folder / "pushed.tar.gz").exists()


def test_a_file_more(rig: Rig) -> None:
    rig.push(rig.image(rig.folder, entries=(Entry("bin/evil", "file", 0o4755, data=b"x"),)).layer)
    with pytest.raises(ImageError, match="is not what was staged: bin/evil: added"):
        rig.collect()


def test_program_of_another_cpu(rig: Rig) -> None:
    rig.push(rig.image(rig.folder, program=make_elf(62, kind=2)).layer)
    with pytest.raises(ElfError, match="expected 64-bit little-endian machine 183"):
        rig.collect()


def test_config_of_another_platform(rig: Rig) -> None:
    rig.push(architecture="amd64")
    with pytest.raises(ImageError, match="expected an image for linux/arm64/v8, found one for linux/amd64"):
        rig.collect()


@pytest.mark.parametrize("label", [keys.CELL_KEY, keys.VARIANT])
def test_another_cell(rig: Rig, label: str) -> None:
    rig.push(Labels={**LABELS, label: "other"})
    with pytest.raises(ImageError, match=f"{label}: expected"):
        rig.collect()


def test_another_command(rig: Rig) -> None:
    rig.push(Entrypoint=["/bin/evil"])
    with pytest.raises(ImageError, match="Entrypoint is"):
        rig.collect()


def test_registry_gives_other_bytes(rig: Rig) -> None:
    rig.push()
    rig.store.blobs = {digest: b"x" * len(data) for digest, data in rig.store.blobs.items()}
    with pytest.raises(ImageError, match="its bytes have the digest"):
        rig.collect()
