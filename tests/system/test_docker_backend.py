"""Backend `docker` on a real engine and a real registry: what is built, run, pushed, refused, removed."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.plugins import steps
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS, WARNINGS
from dockerbed import LABELS, EngineCase, Prebuilt, destination, engine_steps, layer_of
from registryrig import PASSWORD, USER, running_registry
from tinyelf import make_elf
from tinyimage import make_image
from userland import ROOT

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.load import load_project
from minios_steps.core.docker.commands import KEYS, Names, clean_script
from minios_steps.core.docker.dockerfile import LAYER, dockerfile
from minios_steps.core.docker.tree import differences, read_tree
from minios_steps.core.oci.annotations import OWNER
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.oci.verify import verify_candidate

if TYPE_CHECKING:
    from registryrig import RealRegistry

    from minios_steps.core.config.project import Project
    from minios_steps.core.tarball import LayerFile

NATIVE = "x86_64"
ALL = (NATIVE, "aarch64", "riscv64")
SW64 = 0x9916


@pytest.mark.usefixtures("binfmt")
class TestEngine(EngineCase):
    @pytest.fixture(autouse=True)
    def _rig(
        self,
        full_matrix: Any,
        docker_host: str,
        engine: Any,
        registry: RealRegistry,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", docker_host)
        self.engine = engine
        self.folder = tmp_path
        self.registry = destination(registry.host)
        self.project: Project = load_project(ROOT / "config")
        self.state: Path = full_matrix.state
        self.store = CandidateStore(self.state / "store")
        self.made = CandidateStore(tmp_path / "store")
        self.before = self.on_engine()

    def prebuilt(self, arch: str, layer: LayerFile | None = None) -> Prebuilt:
        """An arch's own program, or a made-up layer with nothing but a shell."""
        name = arch if arch in ALL else NATIVE
        record = self.store.latest(name, "1.38.0", "static")
        assert record
        scratch = self.state / "work" / f"{name}-local-{name}"
        return Prebuilt(
            layer=layer or layer_of(self.store.layout, record),
            applets=(scratch / "applets.txt").read_text("utf-8"),
            config=(scratch / "dot.config").read_text("utf-8"),
            key=str(record.key),
            inputs=dict(record.inputs),
            work_root=self.folder / "work",
        )

    def steps_of(self, arch: str, layer: LayerFile | None = None, **login: str) -> dict[str, Any]:
        before = self.prebuilt(arch, layer)
        return engine_steps(self.folder, self.project.arches[arch], before, self.registry, **login)

    def on_engine(self) -> set[str]:
        """Every image, intermediate and untagged ones too, and every container."""
        found = [*self.engine.images.list(all=True), *self.engine.containers.list(all=True)]
        return {str(one.id) for one in found}

    def nothing_stays(self) -> None:
        assert self.on_engine() == self.before

    def clean(self, owner: str) -> None:
        """What the last step of a build does."""
        script = clean_script(Names(owner, "any"))
        subprocess.run(["sh", "-c", script], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def no_trace_of(self, password: str, folder: Path) -> None:
        """Neither in the workers' folders nor in the master's database."""
        encoded = base64.b64encode(f"{USER}:{password}".encode())
        for path in folder.rglob("*"):
            assert path.name != KEYS
            held = path.read_bytes() if path.is_file() else b""
            assert not any(text in held for text in (password.encode(), encoded)), path

    async def run_one(self, made: dict[str, Any], arch: str = NATIVE) -> dict[str, Any]:
        await self.start({arch: made})
        return (await self.build())[arch]

    def why(self, build: dict[str, Any], step: str) -> str:
        assert build["results"] == FAILURE, build["steps"]
        assert build["steps"][step]["results"] == FAILURE
        return str(build["properties"]["problem"])

    async def test_three_cpus_at_once(self) -> None:
        await self.start({arch: self.steps_of(arch) for arch in ALL})
        for arch, build in (await self.build()).items():
            told = build["properties"]
            assert build["results"] == SUCCESS, (told, build["steps"])
            checks = {check["name"]: check["outcome"] for check in told["smoke"]}
            assert set(checks.values()) == {"passed"}
            assert "image: tar" in checks
            # The bytes that the registry has are a candidate like any other.
            found = Descriptor.from_json(told["candidate"]["descriptor"])
            verified = verify_candidate(
                self.made.layout, found, self.project.arches[arch], told["cell_key"], "static"
            )
            assert verified.platform.architecture == self.project.arches[arch].platform.architecture
            tag = f"cell-{told['cell_key'].removeprefix('sha256:')[:12]}"
            assert (
                f"/team/minios/{arch}:{tag} is {found.digest.short}"
                in build["steps"]["push-from-worker"]["state_string"]
            )
            record = self.made.latest(arch, "1.38.0", "static")
            assert record
            assert record.descriptor == found
        self.nothing_stays()

    async def test_cpu_that_cannot_run_here(self) -> None:
        layer = make_image(self.folder, platform="linux/sw64", program=make_elf(SW64, kind=2)).layer
        build = await self.run_one(self.steps_of("sw64", layer), "sw64")
        assert build["results"] == SUCCESS, build["steps"]
        assert build["steps"]["smoke-image"]["results"] == WARNINGS
        said = "not run: the Docker engine of this worker cannot run linux/sw64"
        assert build["steps"]["smoke-image"]["state_string"] == said
        assert {(check["outcome"], check["detail"]) for check in build["properties"]["smoke"]} == {
            ("skipped", said)
        }
        platform = build["properties"]["candidate"]["descriptor"]["platform"]
        assert platform == {"architecture": "sw64", "os": "linux"}
        self.nothing_stays()

    async def test_program_of_another_cpu(self) -> None:
        wrong = layer_of(self.store.layout, self.store.latest("aarch64", "1.38.0", "static"))  # type: ignore[arg-type]
        build = await self.run_one(self.steps_of(NATIVE, wrong))
        assert "bin/busybox in the image: expected 64-bit little-endian machine 62" in self.why(
            build, "image"
        )
        self.nothing_stays()

    async def test_image_is_changed_before_it_is_pushed(self) -> None:
        made = self.steps_of(NATIVE)
        added = 'ARG IMAGE\nFROM $IMAGE\nRUN ["/bin/busybox", "touch", "/etc/evil"]\n'
        script = (
            "tag=$(docker images minios-build --format '{{.Repository}}:{{.Tag}}') && "
            f"printf '%s' '{added}' | docker build --build-arg IMAGE=$tag --network none --tag $tag -"
        )
        evil = steps.ShellCommand(command=["sh", "-c", script], name="evil", env={"DOCKER_BUILDKIT": "0"})
        names = [*made]
        changed = {name: made[name] for name in names[:3]} | {"evil": evil}
        build = await self.run_one({**changed, **{name: made[name] for name in names[3:]}})
        assert build["steps"]["evil"]["results"] == SUCCESS
        assert "expected an image of one gzipped layer" in self.why(build, "push-from-worker")
        self.nothing_stays()

    async def test_other_bytes_are_pushed_by_the_same_name(self) -> None:
        made = self.steps_of(NATIVE)
        # The same labels and command around another tree: only the files give it away.
        script = (
            "tag=$(docker images minios-build --format '{{.Repository}}:{{.Tag}}') && mkdir t && "
            "tar xzf layer.tar.gz -C t && echo evil >t/etc/evil && tar czf layer.tar.gz -C t . && "
            "docker build --no-cache --tag $tag ."
        )
        evil = steps.ShellCommand(
            command=["sh", "-c", script], name="evil", env={"DOCKER_BUILDKIT": "0"}, workdir="build/docker"
        )
        names = [*made]
        changed = {name: made[name] for name in names[:3]} | {"evil": evil}
        build = await self.run_one({**changed, **{name: made[name] for name in names[3:]}})
        assert build["steps"]["evil"]["results"] == SUCCESS
        told = self.why(build, "push-from-worker")
        assert "is not what was staged: etc/evil: added" in told
        self.nothing_stays()

    async def test_cancelled_with_an_image_on_the_engine(self) -> None:
        made = self.steps_of(NATIVE)
        hold = steps.ShellCommand(command=["sleep", "120"], name="hold")
        await self.start({NATIVE: {"before": made["before"], "image": made["image"], "hold": hold, **made}})
        await self.stop_at("hold")
        build = (await self.build())[NATIVE]
        assert build["results"] == CANCELLED
        assert build["steps"]["remove"]["results"] == SUCCESS
        self.nothing_stays()

    async def test_left_over_of_a_killed_build(self) -> None:
        made = self.steps_of(NATIVE)
        await self.start({NATIVE: {"before": made["before"], "image": made["image"]}})
        await self.build()
        first = self.on_engine() - self.before
        await self.build()
        second = self.on_engine() - self.before
        # The second build has as much there as the first, and nothing of it.
        assert len(first) == len(second) > 1
        assert not first & second
        self.clean(self.engine.images.list(filters={"label": OWNER})[0].labels[OWNER])
        self.nothing_stays()

    async def test_worker_logs_in_with_a_lent_password(self) -> None:
        with running_registry(self.folder / "closed", password=True) as closed:
            self.registry = destination(closed.host, username=USER, password_secret="x")
            right = {"password": PASSWORD, "worker_username": USER, "worker_password": PASSWORD}
            await self.start(
                {
                    NATIVE: self.steps_of(NATIVE, **right),
                    "aarch64": self.steps_of("aarch64", **{**right, "worker_password": "nope"}),
                }
            )
            builds = await self.build()
        assert builds[NATIVE]["results"] == SUCCESS, builds[NATIVE]["steps"]
        told = self.why(builds["aarch64"], "push-from-worker")
        assert told.startswith(f"cannot push {closed.host}/team/minios/aarch64:cell-")
        assert "may this worker push there?" in told
        self.no_trace_of(PASSWORD, Path(self.master.basedir))
        self.nothing_stays()


def test_buildkit_makes_the_same_tree(
    full_matrix: Any, docker_host: str, engine: Any, tmp_path: Path
) -> None:
    """The generated Dockerfile, built by the BuildKit that is part of Debian's engine and command line."""
    store = CandidateStore(full_matrix.state / "store")
    record = store.latest("aarch64", "1.38.0", "static")
    assert record
    packed = layer_of(Layout(store.root), record).path.read_bytes()
    (tmp_path / LAYER).write_bytes(packed)
    (tmp_path / "Dockerfile").write_text(dockerfile(LABELS, ["/bin/sh"]), "utf-8")
    command = ["/usr/bin/docker", "build", "--no-cache", "--platform", "linux/arm64/v8", "--tag", "kit", "."]
    environment = {"DOCKER_HOST": docker_host, "DOCKER_BUILDKIT": "1", "PATH": "/usr/bin:/bin", "HOME": "/"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    image = engine.images.get("kit")
    try:
        assert image.attrs["Architecture"] == "arm64"
        assert image.labels == LABELS
        (tmp_path / "saved.tar").write_bytes(b"".join(image.save()))
    finally:
        engine.images.remove(image.id, force=True)
    script = "tar xf saved.tar && gzip -c */layer.tar"
    layer = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=True).stdout
    assert differences(read_tree(packed), read_tree(layer)) == []
