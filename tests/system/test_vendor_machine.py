"""From an invite to an image in the index: CPUs that nobody here has, on a machine that nobody trusts.

Master and vendor's machine are hosts of their own, with one wire between them and no way out. The
vendor's is an old Debian with nothing but the bundle copied in. It stands in for three machines:
alpha's and s390x's compilers are Debian's cross compilers, and QEMU is their CPU; what stands in for
SW64 is told in `standin_sw64`. Each first image is made while something breaks.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from standin_sw64 import make_standin, name_emulator
from userland import copy_config, replace_block
from vendorbed import BUNDLE, HostedMinios, Wires
from workerbed import Machine, invite, wait_for, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ON_THE_VENDORS_MACHINE = (f"sh {BUNDLE} --check", f"sh {BUNDLE} --invite {{invite}} --dir worker")
"""All that is typed there from the invite to the first candidate: at most three commands."""
ON_THE_MASTERS = "minios arch new {cpu} --from-worker {cpu}-1 --build"
"""All that is typed here meanwhile, beside a look at the file that it writes: one command."""
WHERE_A_FILE_IS_THERE = "minios matrix --arch {cpu}"
"""The same for SW64, whose file is a part of the configuration."""
CUT_SECONDS = 30
END_SECONDS = 180
RETRY, SUCCESS = 5, 0  # buildbot.process.results
COMPILERS = {"make", "cc1", "as", "ld"}


@dataclass(frozen=True)
class Bed:
    """The hosts, and a master that has released an image of its own CPU."""

    wires: Wires
    cli: HostedMinios

    def attach(self, cpu: str, *words: str, path: str = "") -> Machine:
        """The operator invites, with more words for the command; the vendor does the rest."""
        token = invite(self.cli, cpu, *words)
        machine = self.wires.vendor.machine(cpu, path)
        for line in ON_THE_VENDORS_MACHINE:
            done = machine.shell(line.format(invite=token))
            assert done.returncode == 0, done.stdout + done.stderr
        return machine

    def start(self, cpu: str, line: str) -> subprocess.Popen[str]:
        """Type a command once the machine is probed, which nobody asks for; returns when it compiles."""
        ready = {"no arch file", "passed"}
        wait_for(lambda: workers(self.cli)[f"{cpu}-1"]["probe"] in ready, f"{cpu} is probed")
        run = self.cli.start(*line.format(cpu=cpu).split()[1:])
        wait_for(lambda: self.cli.runs(cpu, "compile"), f"{cpu} compiles", END_SECONDS)
        return run

    def results(self, builder: str) -> list[int]:
        """How the builds of a builder's newest request ended; -1 is one that runs."""
        number = self.cli.get(f"builders/{builder}")["builders"][0]["builderid"]
        builds = self.cli.get(f"builders/{number}/builds", order="number")["builds"]
        newest = max(build["buildrequestid"] for build in builds)
        mine = [build["results"] for build in builds if build["buildrequestid"] == newest]
        return [-1 if result is None else result for result in mine]

    def skopeo(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What somebody else's program says of the released index."""
        command = ["skopeo", *words, f"oci:{self.cli.out}:dynamic"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def promote(self, cpu: str) -> None:
        """The index does not have the CPU, and gains it when the operator says so; nothing is compiled."""
        by_cpu = (f"--override-arch={cpu}", "inspect")
        before = self._platforms()
        assert cpu not in before
        assert self.skopeo(*by_cpu).returncode != 0
        done = self.cli.run("arch", "promote", cpu)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"+  {cpu}: optional" in done.stdout
        wait_for(lambda: self._role(cpu) == "optional", f"the master has read the role of {cpu}")
        told = json.loads(self.cli.run("matrix", "--json").stdout)
        assert {cell["outcome"] for cell in told["cells"]} == {"reused"}, told
        assert [release["outcome"] for release in told["releases"]] == ["released"], told
        assert self._platforms() == before | {cpu}
        assert json.loads(self.skopeo(*by_cpu).stdout)["Architecture"] == cpu

    def _role(self, cpu: str) -> str:
        [role] = self.cli.get(f"builders/{cpu}")["builders"][0]["tags"]
        return str(role)

    def _platforms(self) -> set[str]:
        index = json.loads(self.skopeo("inspect", "--raw").stdout)
        return {entry["platform"]["architecture"] for entry in index["manifests"]}


@pytest.fixture(scope="module")
def bed(
    old_system: Path,
    tarballs: Callable[[str], Path],
    kits: Path,
    tmp_path_factory: pytest.TempPathFactory,
    need: Callable[..., None],
) -> Iterator[Bed]:
    need("skopeo")
    folder = tmp_path_factory.mktemp("wires")
    config = copy_config(folder / "config", tarballs("1.38.0"), tiny=True, arches={"x86_64": "required"})
    replace_block(config / "minios.yaml", "variants", "variants: [dynamic]\n")
    name_emulator(config / "arches" / "sw64.yaml")
    with closing(Wires(old_system, folder)) as wires:
        cli = wires.up(config, folder, kits, local="x86_64")
        done = cli.run("matrix")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Bed(wires, cli)


def finish(run: subprocess.Popen[str]) -> str:
    """The end of a command that goes well; what it said."""
    out, _ = run.communicate(timeout=END_SECONDS)
    assert run.returncode == 0, out
    assert "published" in out
    return out


def test_it_takes_few_commands() -> None:
    assert len(ON_THE_VENDORS_MACHINE) <= 3
    assert all(line.count("minios") == 1 for line in (ON_THE_MASTERS, WHERE_A_FILE_IS_THERE))


def test_alpha_while_the_link_is_cut(bed: Bed) -> None:
    bed.attach("alpha", "--cross-prefix", "alpha-linux-gnu-")
    run = bed.start("alpha", ON_THE_MASTERS)
    bed.wires.switch.unplug(bed.wires.vendor)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(CUT_SECONDS)
    # So long nobody heard anything.
    assert bed.cli.runs("alpha", "compile")
    bed.wires.switch.plug(bed.wires.vendor)
    assert "next: minios arch promote alpha" in finish(run)
    assert bed.results("alpha")[-1] == SUCCESS
    bed.promote("alpha")


def test_s390x_while_its_worker_is_killed(bed: Bed) -> None:
    machine = bed.attach("s390x", "--cross-prefix", "s390x-linux-gnu-")
    run = bed.start("s390x", ON_THE_MASTERS)
    killed = machine.shell(f"kill -9 {machine.process}")
    assert killed.returncode == 0, killed.stderr
    finish(run)
    assert bed.results("s390x") == [RETRY, SUCCESS]
    written = (bed.cli.config / "arches" / "s390x.yaml").read_text("utf-8")
    assert "data: big" in written
    bed.promote("s390x")
    # What the killed one had started does not go on for ever.
    wait_for(lambda: not bed.wires.vendor.programs() & COMPILERS, "no compiler runs")


def test_sw64_while_the_master_is_killed(bed: Bed) -> None:
    root = bed.wires.vendor.root
    standin = make_standin(root / "opt" / "standin", root=root)
    bed.attach("sw64", path=f"/{standin.bin.relative_to(root)}")
    run = bed.start("sw64", WHERE_A_FILE_IS_THERE)
    told: dict[str, Any] = json.loads((bed.cli.state / "run.json").read_text("utf-8"))
    bed.wires.master.run("kill", "-9", str(told["pid"]))
    out, _ = run.communicate(timeout=END_SECONDS)
    assert run.returncode == 2, out
    assert "does not answer" in out
    assert "Traceback" not in out
    # Nobody asks again: the new one goes on with what the old one had been asked for.
    done = bed.cli.run("up")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: bed.results("matrix") == [RETRY, SUCCESS], "the matrix is built again", END_SECONDS)
    assert bed.results("sw64") == [SUCCESS]
    assert not bed.cli.get("builds", complete="false")["builds"]
    bed.promote("sw64")
