"""The bundle on an old Debian (Python 3.9, gcc 10) that has nothing from a package index, and no network
but the way to the master."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from vendorbed import BUNDLE, HostedMinios, Wires
from workerbed import Machine, invite, make_bundle, wait_cells, wait_connected, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY = 40_000_000
"""Bytes of memory that a worker process may have, also after a build."""


@pytest.fixture
def wires(old_system: Path, tmp_path: Path) -> Iterator[Wires]:
    with closing(Wires(old_system, tmp_path)) as made:
        yield made


@pytest.fixture
def machine(wires: Wires) -> Machine:
    """A folder on the old system, with the bundle for Python 3.7 in it."""
    return wires.vendor.machine("vendor")


@pytest.fixture
def cli(config_copy: Any, wires: Wires, kits: Path, tmp_path: Path) -> HostedMinios:
    """A master that stays, on the other host."""
    return wires.up(config_copy(tiny=True, arches={"x86_64": "required"}), tmp_path, kits)


def test_attach_build_uninstall(cli: HostedMinios, machine: Machine, wires: Wires, tmp_path: Path) -> None:
    before = wires.vendor.files()
    done = machine.attach(BUNDLE, invite(cli, "x86_64"))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_connected(cli, "x86_64-1")
    shown = json.loads(cli.run("worker", "show", "x86_64-1", "--json").stdout)
    assert shown["machine"]["python"].startswith("3.9.")
    wait_cells(cli, "x86_64-1")

    # While this one builds, another one comes in: the running build is not disturbed.
    building = cli.start("matrix", "--json")
    wait_for(lambda: cli.runs("x86_64", "compile"), "it builds", 120)
    second = Machine(tmp_path / "two", wires.master.enter)
    second.folder.mkdir()
    make_bundle("3.8", second.folder / "new.run")
    done = second.attach("new.run", invite(cli, "x86_64", "--name", "second"))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_connected(cli, "second")
    out, _ = building.communicate(timeout=300)
    assert second.resident() < MEMORY
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
    assert wires.vendor.files() == before


def test_init_script(cli: HostedMinios, machine: Machine, wires: Wires) -> None:
    done = machine.attach(BUNDLE, invite(cli, "x86_64"), "--service", "init")
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
    assert not (wires.vendor.root / script[1:]).exists()
    assert not machine.dir.exists()
