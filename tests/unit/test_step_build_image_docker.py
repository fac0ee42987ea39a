"""`BuildImage` with the backend `docker`: what the engine is told, and what is believed of its work."""

from __future__ import annotations

import json
from typing import Any

from archbed import make_arch
from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from dockerworkerbed import (
    DOCKER,
    INSPECTED,
    NAMES,
    WORKDIR,
    DockerCase,
    answer,
    clean,
    docker,
    engine,
    sent,
    tar_of,
    version,
)
from stepbed import disk_full, interrupted, make_folder, remove_folder, upload, upload_file
from tinyelf import make_elf
from tinyimage import KEY

from minios_steps.build_image import BuildImage
from minios_steps.core.oci import annotations as keys
from minios_steps.stage_rootfs import INSTALL_LIMIT

TITLE = {keys.TITLE: "tiny"}


class BuildingByEngine(DockerCase):
    def image(self, **kwargs: Any) -> None:
        self.texts: list[str] = []
        self.layers: list[bytes] = []
        options = {"backend": Property("backend"), "labels": TITLE, **kwargs}
        self.prepare(
            BuildImage(arch=make_arch(), variant="static", **options), backend="docker", docker_names=None
        )

    def up_to_context(self) -> tuple[Any, ...]:
        return (
            *engine(),
            remove_folder(WORKDIR),
            make_folder(WORKDIR),
            clean().exit(0),
            sent("layer.tar.gz", self.layers.append, text=False),
            sent("Dockerfile", lambda data: self.texts.append(data.decode())),
        )

    def up_to_inspect(self, inspected: str = INSPECTED) -> tuple[Any, ...]:
        return (
            *self.up_to_context(),
            docker(DOCKER.build).exit(0),
            docker(DOCKER.inspect).stdout(inspected).exit(0),
        )

    def up_to_copy(self, copied: bytes) -> tuple[Any, ...]:
        return (
            *self.up_to_inspect(),
            docker(DOCKER.create).exit(0),
            docker(DOCKER.copy_out).exit(0),
            upload_file("busybox.tar", copied, limit=INSTALL_LIMIT, workdir=WORKDIR),
        )

    def refused(self, what: str) -> Any:
        self.expect_outcome(FAILURE, what)
        return self.run_step()

    async def test_built(self) -> None:
        self.image()
        self.expect_commands(*self.up_to_copy(tar_of()))
        told = "linux/arm64/v8 image 777777777777 by Docker 20.10.24 with its own builder"
        self.expect_outcome(SUCCESS, told)
        self.expect_property("docker_names", {"owner": NAMES.owner, "build": NAMES.build}, "image")
        await self.run_step()
        assert self.layers == [self.layer.path.read_bytes()]
        labels = {
            **TITLE,
            keys.CELL_KEY: KEY,
            keys.SOURCE_SHA256: "c" * 64,
            keys.VARIANT: "static",
            keys.OWNER: NAMES.owner,
        }
        assert self.property("docker_labels") == labels
        [text] = self.texts
        assert text.startswith("FROM scratch\nADD layer.tar.gz /\nLABEL ")
        for name, value in labels.items():
            assert f'"{name}"="{value}"' in text
        assert not self.build.getProperty("image")

    def test_no_engine(self) -> Any:
        self.image()
        problem = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n"
        self.expect_commands(version().stderr(problem).exit(1))
        return self.refused(f"no Docker engine on worker w1: {problem.strip()}")

    def test_no_docker_at_all(self) -> Any:
        self.image()
        self.expect_commands(version().stderr("sh: docker: not found\n").exit(127))
        return self.refused("no Docker engine on worker w1: sh: docker: not found")

    def test_old_engine_of_another_cpu(self) -> Any:
        self.image()
        self.expect_commands(*engine(answer("18.09.0", "18.09.0")))
        return self.refused(
            "Docker 18.09.0 on linux/amd64 does not build for linux/arm64/v8: it takes --platform only with"
            " experimental features"
        )

    def test_label_that_cannot_be_written(self) -> Any:
        self.image(labels={"a": "two\nlines"})
        return self.refused("label 'a': 'two\\nlines' cannot be written into a Dockerfile")

    def test_left_overs_stay(self) -> Any:
        self.image()
        self.expect_commands(*self.up_to_context()[:4], clean().stderr("image is in use\n").exit(1))
        return self.refused("what an earlier build left on the engine stays: image is in use")

    def test_workers_disk_is_full(self) -> Any:
        self.image()
        self.expect_commands(*self.up_to_context()[:5], disk_full(sent("layer.tar.gz", text=False)))
        return self.refused("the worker could not write 'layer.tar.gz': [Errno 28] No space left on device")

    def test_build_fails(self) -> Any:
        self.image()
        failed = docker(DOCKER.build).stdout("Step 2/5 : ADD\n").stderr("no space left on device\n").exit(1)
        self.expect_commands(*self.up_to_context(), failed)
        return self.refused("docker build failed: no space left on device")

    def test_image_for_another_platform(self) -> Any:
        self.image()
        other = json.dumps([{**json.loads(INSPECTED)[0], "Architecture": "amd64", "Variant": ""}])
        self.expect_commands(*self.up_to_inspect(other))
        return self.refused("the engine built an image for linux/amd64, expected linux/arm64/v8")

    def test_image_is_gone(self) -> Any:
        self.image()
        gone = docker(DOCKER.inspect).stdout("[]\n").stderr("Error: No such image\n").exit(1)
        self.expect_commands(*self.up_to_inspect()[:-1], gone)
        return self.refused("what was built is not there: Error: No such image")

    def test_program_cannot_be_copied(self) -> Any:
        self.image()
        failed = docker(DOCKER.copy_out).stderr("no such file or directory\n").exit(1)
        self.expect_commands(*self.up_to_copy(b"")[:-2], failed)
        return self.refused("bin/busybox cannot be copied out of the image: no such file or directory")

    def test_program_for_another_cpu(self) -> Any:
        self.image()
        self.expect_commands(*self.up_to_copy(tar_of(make_elf(62, kind=2))))
        return self.refused(
            "bin/busybox in the image: expected 64-bit little-endian machine 183 (AArch64),"
            " found 64-bit little-endian machine 62 (x86-64)"
        )

    async def test_another_program(self) -> None:
        self.image()
        self.expect_commands(*self.up_to_copy(tar_of(make_elf(183, kind=2, flags=1))))
        self.expect_outcome(FAILURE)
        await self.run_step()
        told = str(self.property("problem"))
        assert told.startswith("bin/busybox in the image is another one: expected sha256:")

    def test_program_is_a_link(self) -> Any:
        self.image()
        self.expect_commands(*self.up_to_copy(tar_of(b"", type=b"2", linkname="other")))
        return self.refused("bin/busybox in the image is not a plain file")

    async def test_copy_is_too_large(self) -> None:
        self.image()
        large = upload("busybox.tar", limit=INSTALL_LIMIT, workdir=WORKDIR)
        large = large.upload_string("x" * (INSTALL_LIMIT + 1)).exit(0)
        self.expect_commands(*self.up_to_copy(b"")[:-1], large)
        self.expect_outcome(
            FAILURE, f"'busybox.tar' from the worker: larger than the {INSTALL_LIMIT:,} bytes allowed"
        )
        await self.run_step()
        assert "busybox.tar" not in self.left("cell")

    async def test_cancelled_while_it_builds(self) -> None:
        self.image()
        self.expect_commands(*self.up_to_context(), interrupted(docker(DOCKER.build)))
        self.interrupt_nth_remote_command(7)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        # The last step of the build knows what to remove.
        self.expect_property("docker_names", {"owner": NAMES.owner, "build": NAMES.build}, "image")
        await self.run_step()
