"""`PushFromWorker`: the worker pushes what its engine built; the master reads it back and judges."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.digest import Digest
from minios_steps.core.docker.commands import KEYS, environment
from minios_steps.core.docker.engine import DockerError
from minios_steps.core.docker.login import login_config
from minios_steps.core.docker.pushed import Expected, Pushed, collect
from minios_steps.core.errors import MiniosError
from minios_steps.core.registry.reference import Reference
from minios_steps.core.tarball import LayerFile
from minios_steps.docker_step import DockerStep
from minios_steps.registry_step import RegistryStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.destination import RegistryDestination
    from minios_steps.core.docker.commands import Commands
    from minios_steps.core.registry.connect import Connection

PUSH_SECONDS = 600
"""How long a push may say nothing."""


class PushFromWorker(DockerStep, RegistryStep):
    """Push the image from the worker into its arch's staging repository, and take it back from there.

    Args:
        arch: the CPU.
        variant: `static` or `dynamic`; may be a renderable.
        command: the image's default command.
        registry: its staging repository of the arch is pushed into, and read with the master's own login.
        worker_username: whom the worker logs in as; empty for what its own `docker login` left.
        worker_password: theirs; a renderable such as `util.Secret("NAME")`, which is rendered when it
            is needed. It is sent to the worker in a file that only its user can read, and that is gone
            when the push has ended.

    The tag is `cell-` with the start of the cell's key; nothing is ever released by it. Then the
    master fetches what the tag names, and refuses it unless platform, program, cell key, command and
    labels are as they must be and every file is the one it staged itself. Sets the properties `image`
    and `layer` to what was pushed, from where on it is a candidate like any other. Needs `docker_names`
    and `docker_labels`.
    """

    name = "push-from-worker"
    renderables = ("variant",)

    def __init__(
        self,
        *,
        arch: Arch,
        variant: Any,
        registry: RegistryDestination,
        command: Sequence[str] = ("/bin/sh",),
        worker_username: str = "",
        worker_password: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(registry=registry, **kwargs)
        self.destination = registry
        self.arch = arch
        self.variant = variant
        self.command_line = command
        self.worker_username = worker_username
        self.worker_password = worker_password

    async def work(self) -> int:
        """Push, fetch, judge, keep."""
        key = Digest.parse(self.getProperty("cell_key"))
        reference = Reference(
            self.destination.host, self.destination.staging_of(self.arch.name), f"cell-{key.short}"
        )
        docker = await self.commands(self.arch.platform.platform)
        await self._push(docker, reference)
        self.tell(f"pushed {reference}; reading it back")
        pushed = await self.connected(self._collect, reference, key)
        self.setProperty("image", pushed.descriptor.as_json(), self.name)
        self.setProperty("layer", pushed.layer.as_json(), self.name)
        self.summary = f"{reference} is {pushed.descriptor.digest.short}, the files are those staged"
        return int(SUCCESS)

    async def _push(self, docker: Commands, reference: Reference) -> None:
        name = str(reference)
        problem = f"cannot push {name}"
        await self.docker(docker.tag(name), docker.engine, problem)
        script = shlex.join(docker.push(name))
        env = dict(environment(docker.engine))
        if self.worker_username:
            await self._lend_password(reference.registry)
            # A worker that dies in the middle is the only way to leave it there; see RemoveImage.
            script = f"trap 'rm -rf {KEYS}' EXIT; trap 'exit 1' HUP INT TERM; chmod 600 {KEYS}/*; {script}"
            env["DOCKER_CONFIG"] = KEYS
        output = await self.command(
            ["sh", "-c", script], collect=True, env=env, timeout=PUSH_SECONDS, max_lines=20_000
        )
        if output.code:
            raise DockerError(f"{problem}: {output.last_line}", hint="may this worker push there?")

    async def _lend_password(self, host: str) -> None:
        try:
            password = str(await self.build.render(self.worker_password))
        except KeyError:
            raise MiniosError(
                f"the master has no password for {self.worker_username!r}, whom the workers of"
                f" {self.arch.name} log in as at {host}",
                hint="put the secret into the folder secrets of the state folder, mode 600, and restart",
            ) from None
        # The file's own mode is set after it was written, so the folder is closed before.
        output = await self.command(["sh", "-c", f"rm -rf {KEYS} && mkdir -m 700 {KEYS}"], collect=True)
        if output.code:
            raise DockerError(f"the worker cannot make a folder for a password: {output.last_line}")
        await self.download_text(login_config(host, self.worker_username, password), f"{KEYS}/config.json")

    def _collect(self, connection: Connection, reference: Reference, key: Digest) -> Pushed:
        folder = Path(self.getProperty("cell_dir"))
        expected = Expected(
            arch=self.arch,
            variant=self.variant,
            cell_key=str(key),
            command=tuple(self.command_line),
            labels=self.getProperty("docker_labels"),
            layer=LayerFile.from_json(self.getProperty("layer")),
        )
        pushed = collect(connection.staging(self.arch.name), reference.tag, expected, folder)
        (folder / "manifest.json").write_bytes(pushed.manifest)
        (folder / "config.json").write_bytes(pushed.config)
        return pushed
