"""`minios matrix --load` on a real Docker engine: the line that it prints runs the image."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _engine(docker_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)


def test_the_printed_line_runs_the_image(full_matrix: Any, engine: Any, need: Callable[..., None]) -> None:
    """Nothing is built: only the loading is new."""
    need("docker", "script")
    try:
        done = full_matrix.run("matrix", "--load", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        [loaded] = json.loads(done.stdout)["loaded"]
        assert loaded["names"] == ["minios:1.38.0", "minios:1.38", "minios:latest"]
        assert loaded["run"] == "docker run --rm -it minios:1.38.0"
        assert f"run it: {loaded['run']}\n" in done.stderr
        assert f"{os.uname().machine}\n42\n" in in_a_terminal(loaded["run"], "uname -m; echo $((6 * 7))")
        assert len({engine.images.get(name).id for name in loaded["names"]}) == 1
    finally:
        for image in engine.images.list("minios"):
            engine.images.remove(image.id, force=True)


def in_a_terminal(command: str, typed: str) -> str:
    """What a command prints on a terminal of its own, with a line for the shell in the image."""
    done = subprocess.run(
        ["script", "-qec", f"{command} sh -c {shlex.quote(typed)}", "/dev/null"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("\r", "")


def test_doctor_sees_the_engine(full_matrix: Any) -> None:
    assert json.loads(full_matrix.run("doctor", "--json").stdout)["docker_engine"]
