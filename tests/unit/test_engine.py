from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from enginebed import FakeEngine, fake_engine
from minios_master import engine as engine_module
from minios_master.engine import EngineError, engine_version, local_engine
from minios_master.loading import Loaded, check_loadable, load_released
from releasebed import make_project
from tinyimage import make_image, put_image

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, MiniosError
from minios_steps.core.oci.docker_archive import LoadableImage
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.model import Descriptor, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minios_steps.core.oci.image import Image

NAMES = ("tiny:1.38.0", "tiny:latest")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    with fake_engine() as made:
        monkeypatch.setenv("DOCKER_HOST", made.host)
        yield made


class Release:
    """A layout with one release of two images."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder / "out")
        self.store = LayoutStore(self.layout)
        (folder / "layers").mkdir()
        self.images: list[Image] = [
            make_image(folder / "layers", platform=name) for name in ("linux/amd64", "linux/arm64/v8")
        ]
        for image in self.images:
            put_image(self.layout, image)
        index = build_index([image.descriptor for image in self.images], {})
        self.layout.publish({"latest": index.descriptor}, raw=[index.raw])
        self.report: dict[str, Any] = {
            "version": "1.38.0",
            "variant": "static",
            "tags": ["1.38.0", "latest"],
            "index": str(index.descriptor.digest),
        }

    def load(self) -> list[Loaded]:
        with local_engine() as engine:
            return list(load_released(engine, self.store, "tiny", [self.report]))


@pytest.fixture
def released(tmp_path: Path) -> Release:
    return Release(tmp_path)


def test_what_an_engine_says_of_itself(engine: FakeEngine) -> None:
    with local_engine() as found:
        assert (found.version, str(found.platform)) == ("20.10.24", "linux/amd64")
    assert engine_version() == "20.10.24"
    engine.told["Version"] = "x" * 1000
    assert len(engine_version()) == 64


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unix:///nowhere/docker.sock", "No such file or directory"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("nonsense://x", "Invalid bind address protocol"),
    ],
)
def test_no_engine_is_one_line(host: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError) as caught, local_engine():
        pass
    assert caught.value.what.startswith(f"no Docker engine answers at {host}: ")
    assert reason in caught.value.what
    assert "\n" not in caught.value.what
    assert "DOCKER_HOST" in caught.value.hint
    assert engine_version() == ""


def test_an_engine_that_hangs(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "ANSWER_SECONDS", 0.2)
    # It listens, and nobody answers.
    engine.shutdown()
    with pytest.raises(EngineError, match="no Docker engine answers"), local_engine():
        pass


def test_the_engines_image_is_loaded_under_every_tag(engine: FakeEngine, released: Release) -> None:
    [loaded] = released.load()
    image = released.images[0]
    assert loaded == Loaded(NAMES, "linux/amd64", str(image.descriptor.digest))
    assert loaded.run == "docker run --rm -it tiny:1.38.0"
    assert loaded.as_json()["names"] == list(NAMES)
    assert set(engine.loaded) == set(NAMES)
    [files] = engine.archives
    [told] = json.loads(files["manifest.json"])
    assert files[told["Config"]] == image.config
    assert [files[name] for name in told["Layers"]] == [image.layer.path.read_bytes()]
    assert Digest.of(gzip.decompress(files[told["Layers"][0]])) == image.layer.diff_id


def test_another_engine_gets_another_image(engine: FakeEngine, released: Release) -> None:
    engine.told["Arch"] = "arm64"
    [loaded] = released.load()
    assert loaded.platform == "linux/arm64/v8"


def test_a_release_that_lacks_it(engine: FakeEngine, released: Release) -> None:
    engine.told["Arch"] = "sw64"
    with pytest.raises(MiniosError, match=r"1\.38\.0 static has no image .* which runs linux/sw64"):
        released.load()
    assert engine.archives == []


def test_what_was_not_released_is_passed_over(engine: FakeEngine, released: Release) -> None:
    released.report["index"] = ""
    assert released.load() == []
    assert engine.archives == []


def test_an_engine_that_refuses(engine: FakeEngine, released: Release) -> None:
    engine.refusal = "no space left on device"
    with pytest.raises(EngineError, match=r"did not take tiny:1\.38\.0: no space left on device"):
        released.load()


def test_an_engine_that_has_something_else(engine: FakeEngine, released: Release) -> None:
    engine.swapped = ["sha256:" + "0" * 64]
    with pytest.raises(EngineError, match=r"tiny:1\.38\.0 has other layers"):
        released.load()


def test_a_damaged_layer_is_not_loaded(engine: FakeEngine, released: Release) -> None:
    released.layout.blob_path(released.images[0].layer.digest).write_bytes(b"other")
    with pytest.raises(ImageError, match="another digest"):
        released.load()
    assert engine.loaded == {}


def test_a_layer_of_another_size(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "out")
    layer, config = b"layer", encode({"rootfs": {"diff_ids": ["sha256:" + "1" * 64]}})
    parts = [Descriptor("x", layout.put_bytes(data), len(data)).as_json() for data in (config, layer)]
    kind = "application/vnd.oci.image.manifest.v1+json"

    def image(layers: list[dict[str, Any]]) -> Descriptor:
        told = {"schemaVersion": 2, "mediaType": kind, "config": parts[0], "layers": layers}
        return Descriptor(kind, layout.put_bytes(encode(told)), len(encode(told)))

    longer = LoadableImage.read(LayoutStore(layout), image([{**parts[1], "size": 6}]))
    with pytest.raises(ImageError, match="expected 6 bytes, found 5"):
        list(longer.archive(["a:b"]))
    with pytest.raises(ImageError, match="expected 2 diff ids"):
        LoadableImage.read(LayoutStore(layout), image([parts[1], parts[1]]))


def test_what_is_asked_for_must_be_for_the_engine(engine: FakeEngine, tmp_path: Path) -> None:
    project = make_project(tmp_path / "config")
    with local_engine() as found:
        check_loadable(found, project, ["aarch64", "x86_64"])
        with pytest.raises(MiniosError, match="runs linux/amd64, and this run builds linux/arm64"):
            check_loadable(found, project, ["aarch64"])
    assert engine.archives == []
