"""Real engines for the system tests: started by pid, on sockets of their own, and stopped again."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
import requests
from cachebed import CACHE, filling
from oldbed import EMULATORS, old_debian
from registryrig import RealRegistry, running_registry
from userland import Minios, copy_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_SECONDS = 60
BINFMT = Path("/proc/sys/fs/binfmt_misc")
EMULATED = ("qemu-aarch64", "qemu-riscv64")


@pytest.fixture(scope="session")
def docker_host(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Docker engine of this test session's own; gives its `DOCKER_HOST`."""
    need("dockerd", root=True)
    # A socket's path may have 107 characters; pytest's folders are longer than one thinks.
    folder = tmp_path_factory.mktemp("d")
    host = f"unix://{folder}/d.sock"
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(
            [
                *("dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
                *("-H", host, "-p", str(folder / "pid"), "--iptables=false", "--bridge=none"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_engine(host, engine, folder / "log")
        yield host
    finally:
        engine.terminate()
        engine.wait(START_SECONDS)


def _wait_for_engine(host: str, engine: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if engine.poll() is not None:
            break
        try:
            client = docker.DockerClient(base_url=host, timeout=5)
            client.ping()
            client.close()
        except (docker.errors.DockerException, requests.RequestException, OSError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"dockerd did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


@pytest.fixture(scope="session")
def engine(docker_host: str) -> Iterator[Any]:
    """A client of the session's Docker engine."""
    client = docker.DockerClient(base_url=docker_host, timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="session")
def binfmt(need: Callable[..., None]) -> Iterator[None]:
    """The kernel runs foreign programs through QEMU; what was not so before is undone at the end."""
    need("update-binfmts", "qemu-aarch64-static", "qemu-riscv64-static", root=True)
    mounted = not (BINFMT / "register").exists()
    if mounted:
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], check=True)
    enabled = [name for name in EMULATED if not (BINFMT / name).exists()]
    for name in enabled:
        subprocess.run(["update-binfmts", "--enable", name], check=True)
    yield
    for name in enabled:
        subprocess.run(["update-binfmts", "--disable", name], check=False)
    if mounted:
        subprocess.run(["umount", str(BINFMT)], check=False)


@pytest.fixture(scope="session")
def full_matrix(
    running: list[Minios], tarballs: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Minios:
    """The whole default matrix, built once for all tests of the session by the real command."""
    folder = tmp_path_factory.mktemp("matrix")
    cli = Minios(copy_config(folder / "config", tarballs("1.38.0")), folder)
    running.append(cli)
    cli.first = cli.run("matrix", "--json", timeout=1200)
    assert cli.first.returncode == 0, cli.first.stdout + cli.first.stderr
    return cli


@pytest.fixture
def registry(need: Callable[..., None], tmp_path: Path) -> Iterator[RealRegistry]:
    """An empty registry of the test's own, on plain http and without a password."""
    need("docker-registry")
    with running_registry(tmp_path / "registry") as made:
        yield made


@pytest.fixture(scope="session")
def old_system(need: Callable[..., None]) -> Path:
    """The root of an old Debian, which is only read."""
    need("debootstrap", "unshare", "nsenter", "chroot", "ip", *EMULATORS, root=True)
    with filling("old-system"):
        return old_debian(CACHE, dt.datetime.now(dt.timezone.utc).date())
