"""Every command that the documents show is run, in order, on a small copy of the configuration."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from docsbed import DOCUMENTS, Block, blocks
from userland import ROOT, copy_config, seed_kits

from minios_steps.core.config.load import load_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from registryrig import RealRegistry

PROGRAMS = {"buildbot", "echo", "export", "grep", "install", "ln", "minios", "mkdir", "rm", "sh", "skopeo"}
"""What is really run. Anything else needs a line here, or below."""

_SIGNED = "it needs a signed release; test_supply.py does the same on a registry of its own"
_COSIGN = "--key cosign.pub --insecure-ignore-tlog=true"
_SIGNATURE = '.layers[0].annotations["dev.cosignproject.cosign/signature"]'
_ENGINE = "it needs an engine; test_registry_tour.py does the same on one of its own"
_IMAGE = "127.0.0.1:5000/team/minios:latest"
_TWO_BUILDS = "it needs two builds that differ; test_reproduce.py makes such two"
_NIGHT = "it builds every arch; test_nightly.py runs it on a small configuration"
_VENDOR = "on another machine, with an invite; test_remote_worker.py does"
_ATTACHED = "it needs a worker that is attached; test_probe.py has one"
NOT_RUN = {
    "./bootstrap.sh build": "it installs packages; test_bootstrap.py runs it on made-up machines",
    "minios matrix --registry 127.0.0.1:5000/team/minios": "test_matrix_registry.py has a registry for it",
    "minios matrix --backend docker --registry 127.0.0.1:5000/team/minios": _ENGINE,
    f"docker pull --platform linux/arm64 {_IMAGE}": _ENGINE,
    f"docker run --rm --platform linux/arm64 {_IMAGE} uname -m": _ENGINE,
    f"docker manifest inspect --insecure {_IMAGE}": _ENGINE,
    "skopeo copy --all --preserve-digests --src-tls-verify=false"
    f" docker://{_IMAGE} oci:copied:latest": _ENGINE,
    "minios release verify docker://registry.example/team/minios:latest --key cosign.pub": _SIGNED,
    f"cosign verify {_COSIGN} registry.example/team/minios:latest": _SIGNED,
    **{
        f"cosign verify-attestation {_COSIGN} --type {kind} registry.example/team/minios@sha256:HEX": _SIGNED
        for kind in ("slsaprovenance1", "cyclonedx")
    },
    "skopeo copy docker://registry.example/team/minios:sha256-HEX.sig dir:signed": _SIGNED,
    f"jq -r '{_SIGNATURE}' signed/manifest.json | base64 -d >signature": _SIGNED,
    "openssl dgst -sha256 -verify cosign.pub -signature signature signed/LAYER": _SIGNED,
    "minios worker probe s390x-1": _ATTACHED,
    "minios arch new s390x --from-worker s390x-1 --build": _ATTACHED,
    "minios diff 2e773840d6db bc4ab25f696b": _TWO_BUILDS,
    "minios nightly run": _NIGHT,
    "minios nightly report": _NIGHT,
    "sh minios-worker-python3.7.run --invite TOKEN": _VENDOR,
    **{
        f"~/minios-worker/minios-worker {command}": _VENDOR
        for command in ("status", "stop", "start", "uninstall")
    },
}

EXITS: dict[str, int] = {"minios release rollback docker://127.0.0.1:5000/team/minios:stable": 2}
"""Commands that are documented to end with another exit code than 0."""

REGISTRY = "127.0.0.1:5000"
"""The documents' registry; the test's own has a free port."""

ROLES = {"aarch64": "required", "sw64": "optional"}
"""Each arch costs a build, and this one is named in commands."""

NEEDED = ("skopeo", "aarch64-linux-gnu-gcc", "s390x-linux-gnu-gcc", "qemu-s390x-static")


class Sandbox:
    """A folder like a checkout that was made ready, with a small BusyBox to build."""

    def __init__(self, folder: Path, tarball: Path, state: Path, registry: RealRegistry) -> None:
        self.folder = folder
        self.registry = registry
        self.config = copy_config(folder / "config", tarball, tiny=True, arches=ROLES)
        shutil.copytree(ROOT / "master", folder / "master", ignore=shutil.ignore_patterns("minios_master"))
        # What one document builds, another one reuses.
        (folder / ".state").symlink_to(state)
        commands = folder / ".venv" / "bin"
        commands.mkdir(parents=True)
        self._add(commands / "minios", "from minios_master.cli.main import run; run()")
        self._add(
            commands / "buildbot", "import sys; from buildbot.scripts.runner import run; sys.exit(run())"
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MINIOS_", "MAKE"))}
        self.environment = {**kept, "PATH": f"{commands}:{os.environ['PATH']}", "COLUMNS": "160"}

    def _add(self, path: Path, python: str) -> None:
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{python}" "$@"\n', "utf-8")
        path.chmod(0o755)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a shell does."""
        return self._run("bash", "-o", "pipefail", "-c", command.replace(REGISTRY, self.registry.host))

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program."""
        return self._run(sys.executable, "-c", program)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, kits: Path) -> Path:
    """The state folder that all documents share."""
    made = tmp_path_factory.mktemp("state")
    seed_kits(made, kits)
    return made


@pytest.fixture
def sandbox(
    tmp_path: Path,
    state: Path,
    tarballs: Callable[[str], Path],
    need: Callable[..., None],
    registry: RealRegistry,
) -> Iterator[Sandbox]:
    """A sandbox; masters that a document left running are stopped."""
    need(*NEEDED)
    made = Sandbox(tmp_path, tarballs("1.38.0"), state, registry)
    yield made
    if (state / "run.json").exists():
        made.run("minios down")
    if (tmp_path / "base" / "twistd.pid").exists():
        made.run("buildbot stop base")


def programs(command: str) -> list[str]:
    """The first word of each command of a pipe."""
    words = shlex.split(re.sub(r"(?<!\|)\|(?!\|)", " | ", command))
    return [word for before, word in zip(["|", *words], words, strict=False) if before == "|"]


def listed(command: str) -> bool:
    """Whether it is known how to test a command."""
    return command in NOT_RUN or command.startswith("make ") or set(programs(command)) <= PROGRAMS


def cases() -> list[Any]:
    return [pytest.param(path, id=path.name) for path in DOCUMENTS if blocks(path)]


@pytest.mark.parametrize("document", cases())
def test_commands_and_blocks(document: Path, sandbox: Sandbox) -> None:
    for block in blocks(document):
        where = f"{document.name}:{block.line}"
        if block.language == "console":
            for command in block.commands:
                assert listed(command), f"{where}: no list says how to test: {command}"
                if command not in NOT_RUN and not command.startswith("make "):
                    check(sandbox.run(command), f"{where}: {command}", EXITS.get(command, 0))
        elif block.language == "python":
            check(sandbox.python(block.text), where)
        else:
            assert block.language == "yaml", f"{where}: a block of a kind that nothing tests"
            load_yaml(block, sandbox.config, where)


def check(done: subprocess.CompletedProcess[str], what: str, code: int = 0) -> None:
    assert done.returncode == code, f"{what}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, what


def load_yaml(block: Block, config: Path, where: str) -> None:
    """An arch goes into the configuration, for the commands that follow; the rest is of `minios.yaml`."""
    told = yaml.safe_load(block.text)
    if "elf" in told:
        (config / "arches" / f"{told['name']}.yaml").write_text(block.text, "utf-8")
    else:
        unknown = set(told) - set(type(load_project(config).minios).model_fields)
        assert not unknown, f"{where}: not in minios.yaml: {unknown}"
    load_project(config)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=command)
        for command in dict.fromkeys(c for path in DOCUMENTS for b in blocks(path) for c in b.commands)
        if command.startswith("make ")
    ],
)
def test_make_targets(command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    words = ["make", "--dry-run", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_lists_name_what_is_there() -> None:
    shown = {command for path in DOCUMENTS for block in blocks(path) for command in block.commands}
    assert shown >= NOT_RUN.keys() | EXITS.keys()
    assert {word for c in shown - NOT_RUN.keys() for word in programs(c)} == PROGRAMS | {"make"}
    assert (ROOT / "bootstrap.sh").is_file()


def test_unlisted_command_is_noticed() -> None:
    assert not listed("curl localhost")
    assert not listed("minios plan | tee file")
    assert listed("minios plan | grep :")
