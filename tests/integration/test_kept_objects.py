"""Objects of earlier builds and ccache, with a real compiler: fewer files are compiled, the bytes stay."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.api import MasterApi
from userland import TINY

if TYPE_CHECKING:
    from pathlib import Path

X86 = {"x86_64": "required"}
WARNINGS = 1
LATE = 300.0


class Master:
    """A master that stays up, and the build of its only cell."""

    def __init__(self, cli: Any, config: Path) -> None:
        self.cli = cli
        self.config = config
        up = cli.run("up", "--json")
        assert up.returncode == 0, up.stdout + up.stderr
        self.api = MasterApi(json.loads(up.stdout)["url"])

    def ask_for(self, *symbols: str) -> None:
        """Change the fragment; it is read for every build."""
        more = "".join(f"CONFIG_{symbol}=y\n" for symbol in symbols)
        (self.config / "kconfig" / "base.config").write_text(TINY + more, "utf-8")

    def build(self, **choices: Any) -> dict[str, Any]:
        """Build; returns the cell, with its steps by name under `steps`."""
        brid = self.api.force_matrix(versions=[], variants=[], arches=[], jobs=0, **choices)
        until = time.monotonic() + LATE
        while not self.api.request(brid)["complete"]:
            assert time.monotonic() < until, f"the build did not end within {LATE} s"
            # Each question costs the master work that the compiler next to it needs.
            time.sleep(0.2)
        build = self.api.build_of_request(brid)
        assert build is not None
        [cell] = self.api.properties(build["buildid"])["cells"]
        assert cell["outcome"] == "published", cell
        [child] = self.api.children(build["buildid"])
        return {**cell, "steps": {step["name"]: step for step in self.api.steps(child["buildid"])}}

    def stop(self) -> None:
        assert self.cli.run("down").returncode == 0


def compiled(cell: dict[str, Any]) -> int:
    found = re.match(r"compiled (\d+) files", cell["steps"]["compile"]["state_string"])
    assert found, cell["steps"]["compile"]
    return int(found[1])


@pytest.fixture
def config(config_copy: Any, need: Any) -> Path:
    need("ccache")
    copied: Path = config_copy(tiny=True, arches=X86)
    return copied


def test_changed_symbols_and_the_compilers_cache(
    config: Path, minios: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = Master(minios(config), config)
    cold = master.build()
    warm = master.build(force_rebuild=True)
    assert compiled(warm) == compiled(cold)
    assert direct_hits(master.cli.state) > compiled(cold) / 2
    assert warm["digest"] == cold["digest"]

    master.ask_for("HEAD")
    kept = master.build()
    assert kept["steps"]["compile"]["state_string"].startswith(f"compiled {compiled(kept)} files again")
    assert compiled(kept) < compiled(cold) / 5
    config_kept = dot_config(master.cli.state)

    # What was kept is spoiled, as only a broken disk or kbuild would: the check notices.
    spoil(master.cli.state)
    master.ask_for("HEAD", "TAIL")
    checked = master.build(clean_check=True)
    assert checked["steps"]["check"]["results"] == WARNINGS
    assert "OTHER BYTES" in checked["steps"]["check"]["state_string"]
    master.stop()

    # From nothing in another folder, with a stand-in for ccache that has no cache.
    (tmp_path / "ccache").write_text('#!/bin/sh\nexec "$@"\n', "utf-8")
    (tmp_path / "ccache").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    master.ask_for("HEAD")
    other = Master(minios(config, tmp_path / "other"), config)
    assert other.build()["digest"] == kept["digest"]
    # With kept objects kconfig's program is called directly, and must be told all that make tells it.
    assert dot_config(other.cli.state) == config_kept
    other.stop()


def dot_config(state: Path) -> str:
    """The last build's."""
    [path] = (state / "work").glob("x86_64-*/dot.config")
    return path.read_text("utf-8")


def direct_hits(state: Path) -> int:
    [cache] = (state / "master" / "workers").glob("*/ccache")
    done = subprocess.run(
        ["ccache", "--print-stats"],
        env={**os.environ, "CCACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(dict(line.split("\t") for line in done.stdout.splitlines())["direct_cache_hit"])


def spoil(state: Path) -> None:
    [folder] = (state / "master" / "workers").glob("*/x86_64/kept/*")
    # No symbol that the test changes has to do with this one.
    path = folder / "libbb" / "messages.o"
    data = path.read_bytes()
    assert b"out of memory" in data
    path.write_bytes(data.replace(b"out of memory", b"OUT OF MEMORY"))
