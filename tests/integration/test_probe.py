"""Workers of the real bundle are probed when they come in: cells are for machines that fit."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from workerbed import Machine, invite, make_bundle, wait_cells, wait_for, workers

from minios_steps.core.config.load import load_project
from minios_steps.core.digest import Digest
from minios_steps.core.oci.index import parse_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.model import MANIFEST_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from userland import Minios

BUNDLE = "worker.run"
GOOD = "machines: [62]"


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    """Two folders as machines, with the bundle on them."""
    made = []
    bundle = make_bundle("3.7", tmp_path / BUNDLE)
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(bundle, folder)
        made.append(Machine(folder))
    yield made
    for machine in made:
        if machine.dir.exists():
            machine.tool("uninstall")


@pytest.fixture
def master(config_copy: Any, minios: Any, need: Any) -> Minios:
    """A master that stays, without workers of its own; its x86_64.yaml is of another CPU."""
    need("s390x-linux-gnu-gcc", "qemu-s390x-static")
    config: Path = config_copy(tiny=True, arches={"x86_64": "required"})
    (config / "workers.yaml").write_text("local: {arches: []}\n", "utf-8")
    change(config, GOOD, "machines: [183]")
    cli: Minios = minios(config)
    up = cli.run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    return cli


def change(config: Path, old: str, new: str) -> None:
    """Change a line of x86_64.yaml."""
    path = config / "arches" / "x86_64.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_from_invite_to_release(master: Minios, machines: list[Machine]) -> None:
    """One machine is refused until the file is right; the other is of an arch without a file."""
    for machine, words in zip(
        machines, (["x86_64"], ["s390x", "--cross-prefix", "s390x-linux-gnu-"]), strict=True
    ):
        done = machine.attach(BUNDLE, invite(master, *words))
        assert done.returncode == 0, done.stdout + done.stderr

    # Nobody types anything: the first build is the probe.
    wait_for(lambda: workers(master)["x86_64-1"]["state"] == "refused", "it is probed and refused")
    wait_for(lambda: workers(master)["s390x-1"]["probe"] == "no arch file", "it is measured")
    assert not workers(master)["x86_64-1"]["cells"]
    told = json.loads(master.run("matrix", "--json").stdout)
    assert [cell["outcome"] for cell in told["cells"]] == ["no-worker"]
    again = master.run("worker", "probe", "x86_64-1")
    assert again.returncode == 1, again.stdout + again.stderr
    rows = [" ".join(line.split()) for line in again.stdout.splitlines()]
    assert "ELF machine 183 (AArch64) 62 (x86-64)" in rows

    # What was measured is judged by the file as it is now.
    change(master.config, "machines: [183]", GOOD)
    assert master.run("worker", "reload").returncode == 0
    wait_cells(master, "x86_64-1")

    # The one command of the operator, after the invite.
    made = master.run("arch", "new", "s390x", "--from-worker", "s390x-1", "--build")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "next: minios arch promote s390x" in made.stdout
    arch = load_project(master.config).arches["s390x"]
    assert (arch.elf.data, arch.elf.machines, arch.loader) == ("big", (22,), ("/lib/ld64.so.1",))
    assert master.run("check").returncode == 0

    promoted = master.run("arch", "promote", "s390x")
    assert promoted.returncode == 0, promoted.stderr
    assert "+  s390x: optional" in promoted.stdout
    told = json.loads(master.run("matrix", "--json").stdout)
    assert {cell["arch"]: cell["outcome"] for cell in told["cells"]} == {
        "x86_64": "published",
        "s390x": "reused",
    }, told
    [release] = told["releases"]
    assert (release["outcome"], release["left_out"]) == ("released", {})
    store = LayoutStore(Layout(master.out))
    index = parse_index(store.read(Digest.parse(release["index"]), MANIFEST_LIMIT), "the release")
    assert {str(entry.platform) for entry in index.entries} == {"linux/amd64", "linux/s390x"}

    # A retired arch has no builder any more.
    assert master.run("arch", "retire", "s390x").returncode == 0
    wait_for(lambda: not workers(master)["s390x-1"]["cells"], "its worker gets no cells")
    log = (master.state / "master" / "twistd.log").read_text("utf-8")
    assert "Traceback" not in log
