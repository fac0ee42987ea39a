"""`PushFromWorker`: the worker pushes, the master reads back; passwords are lent and taken away."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from archbed import make_arch
from buildbot.plugins import util
from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from dockerworkerbed import DOCKER, WORKDIR, DockerCase, docker, engine, sent
from pushedbed import LABELS, Rig
from stepbed import interrupted, shell

from minios_steps import registry_step
from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.errors import ImageError
from minios_steps.core.registry.errors import RegistryError
from minios_steps.push_from_worker import PushFromWorker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "r.example/team/minios/aarch64:cell-abababababab"
PASSWORD = "open sesame"
PLAIN = f"docker push {NAME}"
LENT = f"trap 'rm -rf docker-login' EXIT; trap 'exit 1' HUP INT TERM; chmod 600 docker-login/*; {PLAIN}"


class PushingFromWorker(DockerCase):
    def push(self, **kwargs: Any) -> None:
        self.texts: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.prepare(
            PushFromWorker(
                arch=make_arch(),
                variant="static",
                registry=RegistryDestination(kind="registry", repository="r.example/team/minios"),
                registry_root=self.folder,
                **kwargs,
            ),
            docker_labels=LABELS,
        )
        room = self.folder / "rig"
        room.mkdir()
        self.rig = Rig(room)
        self.rig.staged = self.layer
        self.pushed = self.rig.push(self.layer)
        self.patch(registry_step, "connect", self.connect)

    def connect(self, destination: Any, root: Path, **given: Any) -> Any:
        """Stands in for the registry, with what the worker is to have pushed."""
        assert root == self.folder
        self.asked.append(given)
        store = self.rig.store

        class Connected:
            def staging(self, arch: str) -> Any:
                assert destination.staging_of(arch) == "team/minios/aarch64"
                return store

        @contextlib.contextmanager
        def opened() -> Iterator[Connected]:
            yield Connected()

        return opened()

    def up_to_push(self) -> tuple[Any, ...]:
        return (*engine(), docker(DOCKER.tag(NAME)).exit(0))

    def pushing(self, script: str = PLAIN, **env: str) -> Any:
        return docker(script, timeout=600, max_lines=20_000, env=env)

    def lending(self) -> tuple[Any, ...]:
        make = "rm -rf docker-login && mkdir -m 700 docker-login"
        return (
            *self.up_to_push(),
            shell(["sh", "-c", make], workdir=WORKDIR).exit(0),
            sent("docker-login/config.json", lambda data: self.texts.append(data.decode())),
        )

    def refused(self, what: str) -> Any:
        self.expect_outcome(FAILURE, what)
        self.expect_no_property("image")
        return self.run_and_find_nothing()

    async def run_and_find_nothing(self) -> None:
        await self.run_step()
        assert not {"manifest.json", "config.json", "pushed.tar.gz"} & set(self.left("cell"))

    async def test_pushed_and_read_back(self) -> None:
        self.push()
        self.expect_commands(*self.up_to_push(), self.pushing().exit(0))
        short = self.pushed.digest.short
        self.expect_outcome(SUCCESS, f"{NAME} is {short}, the files are those staged")
        self.expect_property("image", self.pushed.as_json(), "push-from-worker")
        await self.run_step()
        layer = self.property("layer")
        assert layer["path"] == str(self.cell / "pushed.tar.gz")
        assert layer["digest"] == str(self.layer.digest)
        told = json.loads((self.cell / "manifest.json").read_bytes())
        assert told["mediaType"] == self.pushed.media_type
        assert (self.cell / "config.json").stat().st_size == told["config"]["size"]
        assert self.asked[0]["password"] == ""

    async def test_password_is_lent(self) -> None:
        self.push(worker_username="ci", worker_password=Property("secret"), password=Property("own"))
        self.set_properties(secret=PASSWORD, own="mine")
        self.expect_commands(*self.lending(), self.pushing(LENT, DOCKER_CONFIG="docker-login").exit(0))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        [text] = self.texts
        assert json.loads(text)["auths"]["r.example"]["auth"] == "Y2k6b3BlbiBzZXNhbWU="
        assert self.asked[0]["password"] == "mine"
        logs = "".join(str(log.stdout) for log in self.get_nth_step(0).logs.values())
        assert PASSWORD not in logs

    def test_push_is_denied(self) -> Any:
        self.push()
        denied = "denied: requested access to the resource is denied"
        self.expect_commands(*self.up_to_push(), self.pushing().stderr(f"{denied}\n").exit(1))
        return self.refused(f"cannot push {NAME}: {denied}")

    def test_no_such_secret(self) -> Any:
        self.push(worker_username="ci", worker_password=util.Secret("nope"))
        self.expect_commands(*self.up_to_push())
        return self.refused(
            "the master has no password for 'ci', whom the workers of aarch64 log in as at r.example"
        )

    def test_no_room_for_a_password(self) -> Any:
        self.push(worker_username="ci", worker_password=PASSWORD)
        *start, make, _ = self.lending()
        failed = shell(make.args["command"], workdir=WORKDIR).stderr("No space left\n").exit(1)
        self.expect_commands(*start, failed)
        return self.refused("the worker cannot make a folder for a password: No space left")

    def test_image_is_gone(self) -> Any:
        self.push()
        gone = docker(DOCKER.tag(NAME)).stderr("No such image\n").exit(1)
        self.expect_commands(*engine(), gone)
        return self.refused(f"cannot push {NAME}: No such image")

    def test_something_else_was_pushed(self) -> Any:
        self.push()
        self.rig.push(self.layer, Entrypoint=["/bin/evil"])
        self.expect_commands(*self.up_to_push(), self.pushing().exit(0))
        return self.refused("config: Entrypoint is ['/bin/evil'], which was not asked for")

    async def test_registry_is_down(self) -> None:
        self.push()

        def connect(*_: Any, report: Any, **__: Any) -> Any:
            report("r.example: no answer; trying again in 1.0 s")
            raise RegistryError("manifest cell-abababababab: connection refused")

        self.patch(registry_step, "connect", connect)
        self.expect_commands(*self.up_to_push(), self.pushing().exit(0))
        await self.refused("manifest cell-abababababab: connection refused")
        assert "trying again" in self.log_text("registry")

    def test_pushed_tag_is_not_there(self) -> Any:
        self.push()
        self.rig.store.tagged.clear()
        self.expect_commands(*self.up_to_push(), self.pushing().exit(0))
        return self.refused("manifest cell-abababababab: not there")

    async def test_cancelled_while_it_pushes(self) -> None:
        self.push()
        self.expect_commands(*self.up_to_push(), interrupted(self.pushing()))
        self.interrupt_nth_remote_command(3)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("image")
        await self.run_and_find_nothing()
        assert not self.asked

    async def test_cancelled_while_it_reads(self) -> None:
        self.push()

        def stopped(*_: Any) -> Any:
            self.get_nth_step(0).interrupt("somebody pressed stop")
            assert self.asked[0]["cancelled"]()
            raise ImageError("cancelled")

        self.rig.store.manifest = stopped
        self.expect_commands(*self.up_to_push(), self.pushing().exit(0))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("image")
        await self.run_and_find_nothing()
