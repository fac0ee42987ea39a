"""A fake worker with Docker for the unit tests of the steps that use it: recorded answers, exact commands."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from archbed import make_arch
from stepbed import StepCase, download, shell
from tinyelf import make_elf
from tinyimage import KEY, make_image

from minios_steps import docker_step
from minios_steps.core.docker.commands import Commands, Names, clean_script
from minios_steps.core.docker.engine import Engine
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

WORKDIR = "build/docker"
AARCH64 = 183
PROGRAM = make_elf(AARCH64, kind=2)
NAMES = Names("0123456789abcdef", "b1-7-feedbeef")
ARM64 = Platform("linux", "arm64", "v8")
IMAGE_ID = "sha256:" + "7" * 64
ENGINE = Engine((20, 10, 24), "20.10.24", (1, 41), Platform("linux", "amd64"))
DOCKER = Commands(ENGINE, NAMES, ARM64)
ENVIRONMENT = {"DOCKER_BUILDKIT": "0", "DOCKER_CONTENT_TRUST": None, "DOCKER_DEFAULT_PLATFORM": None}
INSPECTED = json.dumps([{"Id": IMAGE_ID, "Os": "linux", "Architecture": "arm64", "Variant": "v8"}])


def answer(cli: str = "20.10.24", server: str = "20.10.24", arch: str = "amd64") -> str:
    """What `docker version` prints."""
    client = {"Version": cli, "ApiVersion": "1.41"}
    return json.dumps({"Client": client, "Server": {"Version": server, "Os": "linux", "Arch": arch}}) + "\n"


def tar_of(data: bytes = PROGRAM, **changes: Any) -> bytes:
    """What `docker cp` writes for one file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("busybox")
        info.size, info.mode = len(data), 0o755
        for name, value in changes.items():
            setattr(info, name, value)
        tar.addfile(info, io.BytesIO(data) if info.size else None)
    return stream.getvalue()


def docker(command: list[str] | str, **options: Any) -> Any:
    """A `docker` command, or text for `sh` around one."""
    words = ["sh", "-c", command] if isinstance(command, str) else command
    env = {**ENVIRONMENT, **options.pop("env", {})}
    return shell(words, workdir=WORKDIR, env=env, **options)


def version(factor: int = 1) -> Any:
    """The first question of every step; `factor` multiplies the time limits."""
    words = ["docker", "version", "--format", "{{json .}}"]
    return shell(words, workdir=WORKDIR, timeout=60 * factor, max_time=3600 * factor, max_lines=2000)


def engine(text: str = "", factor: int = 1) -> tuple[Any, Any]:
    """The two questions every step begins with."""
    buildx = shell(
        ["docker", "buildx", "version"],
        workdir=WORKDIR,
        timeout=60 * factor,
        max_time=3600 * factor,
        max_lines=2000,
    )
    return version(factor).stdout(text or answer()).exit(0), buildx.stderr("no such command\n").exit(1)


def clean() -> Any:
    """Everything of the owner is removed."""
    return shell(["sh", "-c", clean_script(NAMES)], workdir=WORKDIR, max_lines=2000)


def sent(path: str, into: Callable[[bytes], None] | None = None, *, text: bool = True) -> Any:
    return download(path, workdir=WORKDIR, text=text, into=into)


class DockerCase(StepCase):
    """`prepare(step)` puts a layer for arm64 into `cell`, and the properties of the steps before."""

    def prepare(self, step: Any, **properties: Any) -> None:
        self.patch(docker_step, "owner_of", lambda *_: NAMES.owner)
        self.patch(docker_step, "build_name", lambda *_: NAMES.build)
        self.cell = self.folder / "cell"
        self.cell.mkdir()
        self.layer = make_image(self.cell, platform="linux/arm64/v8", program=PROGRAM).layer
        self.arch = make_arch()
        self.setup_step(step)
        told = {
            "cell_dir": str(self.cell),
            "cell_key": KEY,
            "layer": self.layer.as_json(),
            "source_sha256": "c" * 64,
            "workername": "w1",
            "docker_names": {"owner": NAMES.owner, "build": NAMES.build},
            **properties,
        }
        self.set_properties(**{name: value for name, value in told.items() if value is not None})
