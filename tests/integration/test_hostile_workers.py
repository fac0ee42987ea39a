"""Two real workers of one arch share the load; then they hang, lie and vanish, and the master goes on."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from liarbed import ANSWER, BEAT, TICK, Liar, ShortMinios
from userland import replace_block, seed_kits
from workerbed import wait_cells, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

GROWTH = 60 << 20
"""Bytes of memory that the master may have more when the liars are done."""
BEGINNING = {"created", "starting", "preparing worker", "pinging worker"}
"""What Buildbot says of builds that have not begun."""
SLOW = 15
"""Seconds that asking the command line takes on a busy machine."""
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
            wait_cells(cli, one.name)
        yield made
    finally:
        for one in made:
            one.kill()


def run(cli: ShortMinios, *variants: str) -> subprocess.Popen[str]:
    """A matrix of one cell for each variant; nothing is reused but the objects that make has kept."""
    shutil.rmtree(cli.state / "store", ignore_errors=True)
    words = [word for one in variants or ("static", "dynamic") for word in ("--variant", one)]
    return cli.start("matrix", *words, "--json")


def cells(matrix: subprocess.Popen[str]) -> dict[str, dict[str, Any]]:
    """How the cells of a matrix ended, by variant."""
    text, _ = matrix.communicate(timeout=120)
    assert "{" in text, text
    told = json.loads(text[text.index("{") :])
    return {cell["variant"]: cell for cell in told["cells"]}


def by_variant(told: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    """One thing that is told of each cell."""
    return {variant: cell[key] for variant, cell in told.items()}


def both_build(cli: ShortMinios, liars: list[Liar]) -> None:
    """Wait until each has a cell: one goes to who is free."""

    def all_do() -> bool:
        building = cli.builds()
        told = {one["state_string"] for one in building.values()}
        return set(building) == {one.name for one in liars} and not told & BEGINNING

    wait_for(all_do, "both build", 30)


def test_hung_and_lying(cli: ShortMinios, liars: list[Liar]) -> None:
    first, second = liars
    matrix = run(cli)
    both_build(cli, liars)
    good = cells(matrix)
    assert set(by_variant(good, "outcome").values()) == {"published"}, good
    memory = cli.resident()

    # One sends a program of another machine; one tries another program than it sent, so that what
    # is tried fails. Nothing of either is published.
    first.lie("other-elf")
    second.lie("swap")
    reasons = " ".join(by_variant(cells(run(cli)), "reason").values())
    assert "riscv" in reasons.lower() or "243" in reasons, reasons
    assert "smoke test failed" in reasons, reasons
    for one in liars:
        one.lie("traversal")
    [reason] = by_variant(cells(run(cli, "static")), "reason").values()
    assert "evil" in reason
    for one in liars:
        one.lie("")

    # One hangs in the middle: it is noticed, and its cell goes to the other.
    matrix = run(cli)
    both_build(cli, liars)
    first.freeze()
    start = time.monotonic()
    wait_for(lambda: not first.told()["connected"], "noticed", 30)
    assert time.monotonic() - start < BEAT + ANSWER + TICK + SLOW
    again = cells(matrix)
    assert by_variant(again, "digest") == by_variant(good, "digest")
    first.thaw()
    first.wait()
    assert cli.resident() - memory < GROWTH
    nothing_broke(cli)


def test_endless_and_vanishing(cli: ShortMinios, liars: list[Liar]) -> None:
    memory = cli.resident()
    for one in liars:
        one.lie("endless-output")
    [reason] = by_variant(cells(run(cli, "static")), "reason").values()
    assert "it sent more than the 8,388,608 bytes or" in reason

    # A cell has three tries. Of six lost builds one of two workers lost three in a row.
    for one in liars:
        one.lie("vanish")
    for _ in range(2):
        [cell] = cells(run(cli, "static")).values()
        assert cell["outcome"] == "failed", cell
        assert "its worker was lost 3 times, the last time x86_64-" in cell["reason"]
    why = "lost 3 builds in a row, the last because its connection broke"
    wait_for(lambda: bool(paused(liars)), "paused", 10)
    assert set(paused(liars).values()) == {why}
    assert "paused: lost 3 builds in a row" in " ".join(cli.run("worker", "list").stdout.split())
    assert cli.resident() - memory < GROWTH
    nothing_broke(cli)

    # The reason is still there after a restart; who has looked at it lets them go on.
    assert cli.run("down").returncode == 0
    assert cli.run("up").returncode == 0
    for one in liars:
        one.wait()
    assert set(paused(liars).values()) == {why}
    for name in paused(liars):
        assert cli.run("worker", "resume", name).returncode == 0
    wait_for(lambda: not paused(liars), "resumed", 10)


def paused(liars: list[Liar]) -> dict[str, str]:
    """Who is paused, and why."""
    told = [one.told() for one in liars]
    return {one["name"]: one["pause_reason"] for one in told if one["paused"]}


def nothing_broke(cli: ShortMinios) -> None:
    """The master's log tells of no error of its own, and nothing came out of its folder."""
    log = (cli.state / "master" / "twistd.log").read_text("utf-8")
    assert "Traceback (most recent call last)" not in log
    assert not list(cli.folder.rglob("evil"))
