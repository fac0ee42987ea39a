from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from minios_steps.core.registry.credentials import Credentials, docker_credentials
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

HOST = "registry.example:5000"
HUB = "https://index.docker.io/v1/"


class Machine:
    """A user's folder with what `docker login` left there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}

    def config(self, **told: Any) -> None:
        (self.folder / "config.json").write_text(json.dumps(told), "utf-8")

    def helper(self, name: str, script: str) -> None:
        path = self.folder / f"docker-credential-{name}"
        path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        path.chmod(0o755)

    def find(self, host: str = HOST) -> Credentials | None:
        return docker_credentials(host, self.environ)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def packed(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def test_nothing_there(machine: Machine) -> None:
    assert machine.find() is None
    machine.config()
    assert machine.find() is None
    machine.config(auths={"other.example": packed("a:b")})
    assert machine.find() is None


@pytest.mark.parametrize(
    ("host", "key"),
    [
        (HOST, HOST),
        (HOST, f"https://{HOST}"),
        (HOST, f"https://{HOST}/v1/"),
        ("docker.io", HUB),
        ("docker.io", "docker.io"),
    ],
)
def test_the_file(machine: Machine, host: str, key: str) -> None:
    machine.config(auths={key: packed("ci:open:sesame")})
    assert machine.find(host) == Credentials("ci", "open:sesame")


def test_forms_of_an_entry(machine: Machine) -> None:
    machine.config(auths={HOST: {"username": "ci", "password": "p"}})
    assert machine.find() == Credentials("ci", "p")
    machine.config(auths={HOST: {**packed("ci:"), "identitytoken": "t"}})
    assert machine.find() == Credentials("ci", "", "t")
    machine.config(auths={HOST: {}})
    assert machine.find() is None


def test_the_home_folder(machine: Machine) -> None:
    home = machine.folder / "home"
    (home / ".docker").mkdir(parents=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {HOST: packed("ci:p")}}), "utf-8")
    assert docker_credentials(HOST, {"HOME": str(home)}) == Credentials("ci", "p")


def test_helpers(machine: Machine) -> None:
    machine.helper("one", """read host; echo "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"s\\"}" """)
    machine.helper("all", """cat > /dev/null; echo '{"Username": "<token>", "Secret": "t"}'""")
    machine.config(credHelpers={HOST: "one"}, credsStore="all", auths={HOST: packed("a:b")})
    assert machine.find() == Credentials(HOST, "s")
    assert machine.find("other.example") == Credentials("", identity_token="t")
    machine.config(credHelpers={"docker.io": "one"})
    assert machine.find("docker.io") == Credentials(HUB, "s")


def test_a_helper_that_knows_nothing(machine: Machine) -> None:
    machine.helper("one", "echo 'credentials not found in native keychain'; exit 1")
    machine.config(credsStore="one")
    assert machine.find() is None


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("echo hunter2; exit 3", "docker-credential-one get: exit code 3"),
        ("echo hunter2", "not the answer of a credential helper"),
        ("echo '[\"hunter2\"]'", "not the answer of a credential helper"),
    ],
)
def test_a_helper_that_fails(machine: Machine, script: str, wanted: str) -> None:
    machine.helper("one", script)
    machine.config(credsStore="one")
    with pytest.raises(RegistryError, match=wanted) as caught:
        machine.find()
    assert "hunter2" not in f"{caught.value} {caught.value.details}"


@pytest.mark.parametrize("name", ["missing", "../one", "a b", 7])
def test_a_helper_that_is_none(machine: Machine, name: Any) -> None:
    machine.config(credsStore=name)
    with pytest.raises(RegistryError, match=r"docker-credential-missing|not the name of a credential helper"):
        machine.find()


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "[]",
        json.dumps({"auths": ["hunter2"]}),
        json.dumps({"auths": {HOST: {"auth": "hunter2"}}}),
        json.dumps({"auths": {HOST: {"auth": "aHVudGVyMg=="}}}),
    ],
)
def test_a_malformed_file_is_named_and_not_quoted(machine: Machine, text: str) -> None:
    (machine.folder / "config.json").write_text(text, "utf-8")
    with pytest.raises(RegistryError, match=r"config\.json") as caught:
        machine.find()
    assert "hunter2" not in f"{caught.value} {caught.value.details}"
