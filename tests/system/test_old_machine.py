"""The bundle on an old Debian (Python 3.9, gcc 10) that has nothing from a package index."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from userland import ROOT
from workerbed import Machine, invite, make_bundle, wait_cells, wait_connected, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SUITE = "bullseye"
CACHE = ROOT / ".state" / "test-cache" / SUITE
"""The old system, made once: half a minute and 400 MB. Each test has a folder of its own in it."""
PACKAGES = "python3,gcc,libc6-dev,make,bzip2"
MEMORY = 40_000_000
"""Bytes of memory that a worker process may have, also after a build."""


@pytest.fixture(scope="session")
def old_system(need: Callable[..., None]) -> Path:
    """The root of an old Debian, from the mirror that this machine is configured for."""
    need("debootstrap", "unshare", "chroot", root=True)
    if not (CACHE / "made").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(CACHE), mirror()],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
        (CACHE / "made").touch()
    return CACHE


def mirror() -> str:
    """Where this machine's own packages come from."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.rstrip("/").endswith("/debian")]
    assert found, "apt knows no Debian mirror"
    return found[0]


@pytest.fixture
def machine(old_system: Path, tmp_path: Path) -> Iterator[Machine]:
    """A folder on the old system, with the bundle for Python 3.7 in it."""
    folder = old_system / "home" / tmp_path.name
    folder.mkdir(parents=True)
    make_bundle("3.7", folder / "worker.run")
    made = Machine(folder, old_system)
    yield made
    if made.dir.exists():
        made.tool("uninstall")
    shutil.rmtree(folder)


def everything(machine: Machine) -> set[Path]:
    """Every file of the old system, but what the kernel shows there and compilers leave in /tmp."""
    assert machine.root
    return {path for path in machine.root.rglob("*") if path.parts[len(machine.root.parts)] != "proc"}


def test_attach_build_uninstall(config_copy: Any, minios: Any, machine: Machine, tmp_path: Path) -> None:
    config: Path = config_copy(tiny=True, arches={"x86_64": "required"})
    (config / "workers.yaml").write_text("local: {arches: []}\n", "utf-8")
    cli = minios(config)
    assert cli.run("up").returncode == 0
    before = everything(machine)
    done = machine.attach("worker.run", invite(cli, "x86_64"))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_connected(cli, "x86_64-1")
    shown = json.loads(cli.run("worker", "show", "x86_64-1", "--json").stdout)
    assert shown["machine"]["python"].startswith("3.9.")
    wait_cells(cli, "x86_64-1")

    # While this one builds, another one comes in: the running build is not disturbed.
    building = cli.start("matrix", "--json")
    wait_for(lambda: any((machine.dir / "work").glob("minios-src-*/.minios-ready")), "it builds", 120)
    second = Machine(tmp_path / "two")
    second.folder.mkdir()
    make_bundle("3.8", second.folder / "new.run")
    try:
        done = second.attach("new.run", invite(cli, "x86_64", "--name", "second"))
        assert done.returncode == 0, done.stdout + done.stderr
        wait_connected(cli, "second")
        out, _ = building.communicate(timeout=300)
        assert second.resident() < MEMORY
    finally:
        second.tool("uninstall")
    # Progress is in the same stream.
    told = json.loads(out[out.index("{\n") :])
    assert [cell["outcome"] for cell in told["cells"]] == ["published"], out
    assert told["releases"][0]["outcome"] == "released"
    # Compilers and the rest are the old system's; of the bundle nothing compiled is loaded.
    assert machine.loaded() == set()
    assert machine.resident() < MEMORY
    # What a build runs does not see the worker's libraries.
    environment = (machine.dir / "work" / "twistd.log").read_text("utf-8")
    assert "argv: " in environment
    assert "PYTHONPATH" not in environment

    gone = machine.tool("uninstall")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert everything(machine) == before


def test_init_script(config_copy: Any, minios: Any, machine: Machine) -> None:
    config: Path = config_copy(tiny=True, arches={"x86_64": "required"})
    cli = minios(config)
    assert cli.run("up").returncode == 0
    done = machine.attach("worker.run", invite(cli, "x86_64"), "--service", "init")
    assert done.returncode == 0, done.stdout + done.stderr
    script = "/etc/init.d/minios-worker-x86_64-1"
    assert f"wrote {script}" in done.stdout
    # A bare system has no `service` command, so the script is run as init would.
    assert machine.shell(f"{script} start").returncode == 0
    wait_connected(cli, "x86_64-1")
    assert machine.shell(f"{script} status").returncode == 0
    assert machine.shell(f"{script} restart").returncode == 0
    wait_connected(cli, "x86_64-1")
    assert machine.tool("uninstall").returncode == 0
    assert machine.root
    assert not (machine.root / script[1:]).exists()
    assert not machine.dir.exists()
