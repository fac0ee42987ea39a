"""`minios matrix` into a real registry behind a password: released, unchanged, mended."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from registryrig import PASSWORD, USER, RealRegistry, running_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from userland import Minios

WRITES = ("PUT", "POST", "PATCH", "DELETE")
REPOSITORY = "team/minios"


@pytest.fixture
def registry(tmp_path: Path, need: Callable[..., None]) -> Iterator[RealRegistry]:
    need("docker-registry", "skopeo")
    with running_registry(tmp_path / "registry", password=True) as found:
        yield found


def run(minios: Minios, *words: str, code: int = 0) -> dict[str, Any]:
    done = minios.run("matrix", "--json", *words)
    assert done.returncode == code, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def skopeo(*words: str) -> str:
    return subprocess.run(
        ["skopeo", *words, f"--creds={USER}:{PASSWORD}", "--tls-verify=false"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_matrix(config_copy: Any, minios: Any, registry: RealRegistry, tmp_path: Path) -> None:
    config = config_copy(tiny=True, arches={"x86_64": "required"})
    text = (config / "minios.yaml").read_text("utf-8")
    layout = "destination:\n  kind: layout\n  path: out/minios\n"
    assert layout in text
    destination = (
        f"destination:\n  kind: registry\n  repository: {registry.host}/{REPOSITORY}\n"
        f"  username: {USER}\n  password_secret: door\n"
    )
    (config / "minios.yaml").write_text(text.replace(layout, destination), "utf-8")
    one = minios(config)

    # The secret is not there: nothing is released, and it says what to do.
    told = run(one, code=1)
    assert "the master has no secret 'door'" in json.dumps(told)
    secret = one.state / "secrets" / "door"
    secret.write_text(PASSWORD + "\n", "utf-8")
    secret.chmod(0o600)

    told = run(one)
    (release,) = told["releases"]
    place = f"{registry.host}/{REPOSITORY}"
    assert (release["outcome"], release["place"], told["out"]) == ("released", place, place)
    raw = skopeo("inspect", "--raw", f"docker://{place}:latest")
    (entry,) = json.loads(raw)["manifests"]
    assert entry["digest"] == told["cells"][0]["digest"]
    candidate = f"docker://{place}/x86_64@{entry['digest']}"
    assert json.loads(skopeo("inspect", "--raw", candidate))["layers"]

    # The same again: not a byte is sent.
    before = len(registry.asked(*WRITES))
    told = run(one)
    assert told["releases"][0]["outcome"] == "unchanged"
    assert told["cells"][0]["outcome"] == "reused"
    assert registry.asked(*WRITES)[before:] == []

    # The staging repository was cleaned up: the reused candidate is sent there again.
    shutil.rmtree(tmp_path / "registry/data/docker/registry/v2/repositories/team/minios/x86_64")
    assert run(one)["releases"][0]["outcome"] == "unchanged"
    assert json.loads(skopeo("inspect", "--raw", candidate))["layers"]

    # The password is where it was put, and nowhere else.
    found = [
        path for path in one.state.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()
    ]
    assert found == [secret]

    # A wrong one: the registry's own words, and the release stays.
    secret.write_text("wrong\n", "utf-8")
    told = run(one, code=1)
    assert "401 Unauthorized" in told["cells"][0]["reason"]
    assert f"check the user name, the password and what {USER} may do" in told["cells"][0]["reason"]
    assert skopeo("inspect", "--raw", f"docker://{place}:latest") == raw
