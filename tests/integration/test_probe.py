"""A worker of the real bundle is probed when it comes in: cells are for machines that fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from workerbed import Machine, invite, make_bundle, wait_cells, wait_for, workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A folder as a machine, with the bundle on it."""
    folder = tmp_path / "vendor"
    folder.mkdir()
    make_bundle("3.7", folder / "worker.run")
    made = Machine(folder)
    yield made
    if made.dir.exists():
        made.tool("uninstall")


@pytest.fixture
def master(config_copy: Any, minios: Any) -> Any:
    """A master that stays, without workers of its own."""
    config: Path = config_copy(tiny=True, arches={"x86_64": "required"})
    (config / "workers.yaml").write_text("local: {arches: []}\n", "utf-8")
    cli = minios(config)
    up = cli.run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    return cli


def test_refused_then_passed(master: Any, machine: Machine) -> None:
    arch = master.config / "arches" / "x86_64.yaml"
    good = arch.read_text("utf-8")
    wrong = good.replace("machines: [62]", "machines: [183]")
    wrong = wrong.replace("/lib64/ld-linux-x86-64.so.2", "/lib/ld-other.so.1")
    arch.write_text(wrong, "utf-8")
    assert master.run("worker", "reload").returncode == 0
    done = machine.attach("worker.run", invite(master, "x86_64"))
    assert done.returncode == 0, done.stdout + done.stderr
    # Nobody types anything: the first build is the probe.
    wait_for(lambda: workers(master)["x86_64-1"]["state"] == "refused", "it is probed and refused")
    assert not workers(master)["x86_64-1"]["cells"]
    again = master.run("worker", "probe", "x86_64-1")
    assert again.returncode == 1
    arch.write_text(good, "utf-8")
    assert master.run("worker", "reload").returncode == 0
    wait_cells(master, "x86_64-1")
    again = master.run("worker", "probe", "x86_64-1")
    told = json.loads(master.run("matrix", "--json").stdout)
    assert [cell["outcome"] for cell in told["cells"]] == ["published"], told
