"""`BuildImage`: the layer becomes an image, packed here or built by the worker's Docker engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot import config
from buildbot.process.results import SUCCESS

from minios_steps.core.config.base import BACKENDS
from minios_steps.core.digest import Digest
from minios_steps.core.docker.commands import PROGRAM_TAR, Commands
from minios_steps.core.docker.dockerfile import LAYER, dockerfile
from minios_steps.core.docker.engine import DockerError
from minios_steps.core.docker.image import check_built
from minios_steps.core.docker.tree import read_tree
from minios_steps.core.elf import check_machine, read_elf
from minios_steps.core.members import read_members
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.image import build_image
from minios_steps.core.rootfs import BUSYBOX
from minios_steps.core.tarball import LayerFile
from minios_steps.docker_step import WORKDIR, DockerStep
from minios_steps.stage_rootfs import INSTALL_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.config.arch import Arch


class BuildImage(DockerStep):
    """Make an image of the layer that `StageRootfs` packed.

    Args:
        arch: the CPU, for the platform.
        variant: `static` or `dynamic`; may be a renderable.
        labels: the image's labels; may be a renderable.
        command: the image's default command.
        backend: `oci`: packed on the master, bit for bit the same every time. `docker`: built
            by the worker's engine; may be a renderable.

    With `oci`, sets the property `image`: the manifest's descriptor; config and manifest are
    written beside the layer. With `docker`, what an earlier build left on the engine is removed
    first, and the image is refused when its platform, or the program copied out of it, is not
    what was asked for; sets `docker_names` and `docker_labels` for the steps that follow.
    """

    name = "image"
    renderables = ("variant", "labels", "command_line", "backend")

    def __init__(
        self,
        *,
        arch: Arch,
        variant: Any,
        labels: Any = None,
        command: Any = ("/bin/sh",),
        backend: Any = "oci",
        **kwargs: Any,
    ) -> None:
        if isinstance(backend, str) and backend not in BACKENDS:
            config.error(f"BuildImage: unknown backend {backend!r}: there are {', '.join(BACKENDS)}")
        super().__init__(**kwargs)
        self.arch = arch
        self.variant = variant
        self.labels: Mapping[str, str] = labels or {}
        self.command_line = command
        self.backend = backend

    async def work(self) -> int:
        """Make it with the backend that was asked for."""
        layer = LayerFile.from_json(self.getProperty("layer"))
        await (self._build(layer) if self.backend == "docker" else self._pack(layer))
        return int(SUCCESS)

    @property
    def _marks(self) -> dict[str, str]:
        return {
            keys.CELL_KEY: str(self.getProperty("cell_key", "")),
            keys.SOURCE_SHA256: str(self.getProperty("source_sha256", "")),
            keys.VARIANT: str(self.variant),
        }

    async def _pack(self, layer: LayerFile) -> None:
        image = await self.in_thread(
            build_image,
            layer,
            self.arch.platform.platform,
            epoch=int(self.getProperty("epoch", 0)),
            command=tuple(self.command_line),
            labels=dict(self.labels),
            annotations=self._marks,
        )
        folder = Path(self.getProperty("cell_dir"))
        (folder / "config.json").write_bytes(image.config)
        (folder / "manifest.json").write_bytes(image.manifest)
        self.setProperty("image", image.descriptor.as_json(), self.name)
        size = (len(image.config) + len(image.manifest) + layer.size) / 1e6
        self.summary = f"{image.descriptor.platform} image {image.descriptor.digest.short}, {size:.2f} MB"

    async def _build(self, layer: LayerFile) -> None:
        platform = self.arch.platform.platform
        names = self.make_names()
        # A manifest of Docker's has no annotations: labels say the same.
        labels = {**self.labels, **self._marks, keys.OWNER: names.owner}
        text = dockerfile(labels, tuple(self.command_line))
        self.setProperty("docker_labels", labels, self.name)
        docker = await self.commands(platform)
        command = docker.build
        await self.remove_folder(WORKDIR)
        await self.make_folder(WORKDIR)
        left = await self.clean(names)
        if left.code:
            raise DockerError(f"what an earlier build left on the engine stays: {left.last_line}")
        await self.download_file(layer.path, LAYER)
        await self.download_text(text, "Dockerfile")
        await self.docker(command, docker.engine, "docker build failed")
        found = await self.docker(docker.inspect, docker.engine, "what was built is not there")
        built = check_built(found.stdout, platform)
        await self._check_program(docker, layer)
        how = "buildx" if docker.engine.builder == "buildx" else "its own builder"
        self.summary = f"{platform} image {built.short} by Docker {docker.engine.version} with {how}"

    async def _check_program(self, docker: Commands, layer: LayerFile) -> None:
        """Copy the program out of the image: it must be the very one that was staged."""
        problem = f"{BUSYBOX} cannot be copied out of the image"
        await self.docker(docker.create, docker.engine, problem)
        await self.docker(docker.copy_out, docker.engine, problem)
        copied = Path(self.getProperty("cell_dir")) / PROGRAM_TAR
        await self.upload_file(PROGRAM_TAR, copied, limit=INSTALL_LIMIT)
        await self.in_thread(self._compare, copied, layer)

    def _compare(self, copied: Path, layer: LayerFile) -> None:
        programs = [
            entry.data
            for entry in read_members(copied, max_bytes=INSTALL_LIMIT, max_entries=1)
            if isinstance(entry.data, bytes)
        ]
        if not programs:
            raise DockerError(f"{BUSYBOX} in the image is not a plain file")
        check_machine(read_elf(programs[0], BUSYBOX), self.arch, f"{BUSYBOX} in the image")
        staged = read_tree(layer.path.read_bytes())[BUSYBOX].digest
        if (found := Digest.of(programs[0])) != staged:
            raise DockerError(f"{BUSYBOX} in the image is another one: expected {staged}, found {found}")
