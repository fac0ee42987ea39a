"""Two real workers of one arch share the load; then they hang, lie and vanish, and the master goes on."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from liarbed import ANSWER, BEAT, TICK, Liar, ShortMinios
from userland import replace_block, seed_kits
from workerbed import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

GROWTH = 60 << 20
"""Bytes of memory that the master may have more when the liars are done."""
POLICY = "policy: {carry_over: false, claim_timeout: 30, cell_timeout: 300}\n"


@pytest.fixture
def cli(config_copy: Any, running: Any, tmp_path: Path, kits: Path) -> ShortMinios:
    """A master that stays, without workers of its own."""
    config: Path = config_copy(tiny=True, arches={"x86_64": "required"})
    (config / "workers.yaml").write_text("local: {arches: []}\n", "utf-8")
    replace_block(config / "minios.yaml", "policy", POLICY)
    made = ShortMinios(config, tmp_path)
    running.append(made)
    seed_kits(made.state, kits)
    up = made.run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    return made


@pytest.fixture
def liars(cli: ShortMinios) -> Iterator[list[Liar]]:
    """Two workers, connected."""
    made = [Liar(cli, "x86_64") for _ in range(2)]
    try:
        for one in made:
            one.wait()
        yield made
    finally:
        for one in made:
            one.kill()


def run(cli: ShortMinios) -> subprocess.Popen[str]:
    """A matrix of two cells, one for each worker; nothing is reused but the objects that make has kept."""
    shutil.rmtree(cli.state / "store", ignore_errors=True)
    return cli.start("matrix", "--variant", "static", "--variant", "dynamic", "--json")


def cells(matrix: subprocess.Popen[str]) -> dict[str, dict[str, Any]]:
    """How the cells of a matrix ended, by variant."""
    text, _ = matrix.communicate(timeout=120)
    assert "{" in text, text
    told = json.loads(text[text.index("{") :])
    return {cell["variant"]: cell for cell in told["cells"]}


def test_hung_lying_and_vanishing(cli: ShortMinios, liars: list[Liar]) -> None:
    first, second = liars

    # A cell goes to a free one: both build at the same time.
    matrix = run(cli)
    wait_for(lambda: set(cli.builds()) == {first.name, second.name}, "both build", 30)
    good = cells(matrix)
    assert {cell["outcome"] for cell in good.values()} == {"published"}, good
    memory = cli.resident()

    # One hangs in the middle: it is noticed, and its cell goes to the other.
    matrix = run(cli)
    wait_for(lambda: set(cli.builds()) == {first.name, second.name}, "both build", 30)
    first.freeze()
    start = time.monotonic()
    wait_for(lambda: not first.told()["connected"], "noticed", 30)
    assert time.monotonic() - start < BEAT + ANSWER + TICK + 4
    again = cells(matrix)
    assert {v: cell["digest"] for v, cell in again.items()} == {v: c["digest"] for v, c in good.items()}
    first.thaw()
    first.wait()

    # What they send is of another machine, or leads out of its folder.
    first.lie("other-elf")
    second.lie("traversal")
    reasons = " ".join(cell["reason"] for cell in cells(run(cli)).values())
    assert "riscv" in reasons.lower() or "243" in reasons, reasons
    assert "evil" in reasons, reasons

    # What they send has no end: they are cut off, and after three times paused, for a reason.
    for one in liars:
        one.lie("endless-file")
    told = cells(run(cli))
    assert {cell["outcome"] for cell in told.values()} == {"failed"}, told
    lost = "its worker was lost 3 times, the last time x86_64-"
    assert all(lost in cell["reason"] for cell in told.values()), told
    for one in liars:
        wait_for(lambda one=one: one.told()["paused"], "paused", 10)
        assert one.told()["pause_reason"].startswith("lost 3 builds in a row, the last because")
    listed = cli.run("worker", "list").stdout
    assert "paused: lost 3 builds in a row" in " ".join(listed.split())

    # The reason is still there after a restart; who looked at it lets them go on.
    assert cli.run("down").returncode == 0
    assert cli.run("up").returncode == 0
    for one in liars:
        one.lie("swap")
        one.wait()
        assert one.told()["pause_reason"].startswith("lost 3 builds in a row, the last because")
        assert cli.run("worker", "resume", one.name).returncode == 0

    # They try another program than they sent: what is tried fails, and nothing of it is published.
    swapped = cells(run(cli))
    assert {cell["outcome"] for cell in swapped.values()} == {"failed"}, swapped
    assert all("smoke test failed" in cell["reason"] for cell in swapped.values()), swapped
    for one in liars:
        one.lie("")
    after = cells(run(cli))
    assert {v: cell["digest"] for v, cell in after.items()} == {v: c["digest"] for v, c in good.items()}
    assert cli.resident() - memory < GROWTH
    log = (cli.state / "master" / "twistd.log").read_text("utf-8")
    assert "Traceback" not in log
    assert not list(cli.folder.rglob("evil"))
