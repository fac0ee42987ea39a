"""`BuildImage`: config and manifest beside the layer, the same bytes every time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from archbed import make_arch
from buildbot.config import ConfigErrors
from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from stepbed import StepCase
from tinyimage import KEY, make_image

from minios_steps import build_image
from minios_steps.build_image import BuildImage
from minios_steps.core.digest import Digest
from minios_steps.core.oci import annotations as keys


class Building(StepCase):
    def build_step(self, **kwargs: Any) -> None:
        self.cell = self.folder / "cell"
        self.cell.mkdir(exist_ok=True)
        self.layer = make_image(self.cell).layer
        self.setup_step(BuildImage(arch=make_arch(), **{"variant": "static", **kwargs}))
        self.set_properties(
            layer=self.layer.as_json(),
            cell_dir=str(self.cell),
            cell_key=KEY,
            epoch=1700000000,
            source_sha256="c" * 64,
        )

    def told(self, name: str) -> Any:
        return json.loads((self.cell / f"{name}.json").read_bytes())

    async def test_built(self) -> None:
        self.build_step(labels={"org.opencontainers.image.title": "tiny"}, command=("/bin/ash", "-l"))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        manifest = (self.cell / "manifest.json").read_bytes()
        image = self.property("image")
        assert image["digest"] == str(Digest.of(manifest))
        assert image["size"] == len(manifest)
        assert image["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v8"}
        told = json.loads(manifest)
        assert told["config"]["digest"] == str(Digest.of((self.cell / "config.json").read_bytes()))
        assert told["layers"][0]["digest"] == str(self.layer.digest)
        assert told["annotations"] == {
            keys.CELL_KEY: KEY,
            keys.SOURCE_SHA256: "c" * 64,
            keys.VARIANT: "static",
        }
        config = self.told("config")
        assert config["architecture"] == "arm64"
        assert config["created"] == "2023-11-14T22:13:20Z"
        assert config["config"]["Cmd"] == ["/bin/ash", "-l"]
        assert config["config"]["Labels"] == {"org.opencontainers.image.title": "tiny"}

    async def test_summary_and_same_bytes(self) -> None:
        digests = []
        for _ in range(2):
            self._steps.clear()
            self.build_step()
            if digests:
                short = digests[0].removeprefix("sha256:")[:12]
                self.expect_outcome(SUCCESS, f"linux/arm64/v8 image {short}, 0.00 MB")
            else:
                self.expect_outcome(SUCCESS)
            await self.run_step()
            digests.append(self.property("image")["digest"])
        assert digests[0] == digests[1]

    async def test_renderables(self) -> None:
        self.build_step(
            variant=Property("variant"), labels={"v": Property("version")}, command=[Property("program")]
        )
        self.set_properties(variant="dynamic", version="1.38.0", program="/bin/hush")
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.told("manifest")["annotations"][keys.VARIANT] == "dynamic"
        assert self.told("config")["config"]["Labels"] == {"v": "1.38.0"}
        assert self.told("config")["config"]["Cmd"] == ["/bin/hush"]

    def test_layers_record_is_damaged(self) -> Any:
        self.build_step()
        self.set_properties(layer={**self.layer.as_json(), "digest": "md5:x"})
        self.expect_outcome(FAILURE, "not a sha256 digest: 'md5:x'")
        self.expect_no_property("image")
        return self.run_step()

    async def test_cancelled(self) -> None:
        self.build_step()
        self.interrupt_when(build_image, "build_image")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("image")
        self.expect_no_property("problem")
        await self.run_step()
        assert self.left("cell") == [self.layer.path.name]

    def test_unknown_backend(self) -> None:
        with pytest.raises(ConfigErrors, match="unknown backend 'kaniko': there are oci, docker"):
            BuildImage(arch=make_arch(), variant="static", backend="kaniko")
