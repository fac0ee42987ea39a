"""`minios matrix` into a real registry behind a password: released, then unchanged."""

from __future__ import annotations

import json
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


def test_matrix(config_copy: Any, minios: Any, registry: RealRegistry) -> None:
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

    # A wrong password: the registry's own words.
    secret = one.state / "secrets" / "door"
    secret.parent.mkdir(parents=True)
    secret.write_text("wrong\n", "utf-8")
    secret.chmod(0o600)
    told = run(one, code=1)
    assert "401 Unauthorized" in told["cells"][0]["reason"]
    assert f"check the user name, the password and what {USER} may do" in told["cells"][0]["reason"]

    secret.write_text(f"{PASSWORD}\n", "utf-8")
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

    # The password is where it was put, and nowhere else.
    found = [
        path for path in one.state.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()
    ]
    assert found == [secret]
