"""`destination` in `minios.yaml`: a layout or a registry, and what is wrong with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from configbed import MINIOS, SW64, write_config
from pydantic import ValidationError

from minios_steps.core.config.destination import LayoutDestination, RegistryDestination
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError
from minios_steps.core.registry.reference import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

FULL = """\
destination:
  kind: registry
  repository: registry.example:5000/team/minios
  staging: "cells/{arch}"
  ca: keys/ca.pem
  username: ci
  password_secret: registry-password
  format: docker
  immutable: ["{version}"]
  on_race: rebase
"""
FIRST = MINIOS.count("\n") + 1


def read(folder: Path, text: str) -> RegistryDestination:
    found = load_project(write_config(folder, {"minios.yaml": MINIOS + text})).minios.destination
    assert isinstance(found, RegistryDestination)
    return found


def short(**more: str) -> str:
    lines = {"kind": "registry", "repository": "127.0.0.1:5000/minios", **more}
    return "destination:\n" + "".join(f"  {key}: {value}\n" for key, value in lines.items())


def test_a_layout_when_nothing_is_said(tmp_path: Path) -> None:
    found = load_project(write_config(tmp_path)).minios.destination
    assert found == LayoutDestination(path="out/minios")


def test_a_registry(tmp_path: Path) -> None:
    found = read(write_config(tmp_path, {"keys/ca.pem": "x"}), FULL)
    assert (found.host, found.path) == ("registry.example:5000", "team/minios")
    assert found.staging_of("x86_64") == "cells/x86_64"
    assert not found.speaks_http


def test_what_is_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, short())
    assert (found.format, found.on_race, found.immutable) == ("oci", "stop", ())
    assert found.staging_of("sw64") == "minios/sw64"
    assert found.speaks_http


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (short(repository="minios"), "3: destination.repository: should be HOST[:PORT]/REPO, without a tag"),
        (short(repository="team/minios"), "3: destination.repository: should be HOST[:PORT]/REPO"),
        (short(repository="r.example/a:tag"), "3: destination.repository: should be HOST[:PORT]/REPO"),
        (short(repository="r.example/UPPER"), "3: destination.repository: not a repository: 'UPPER'"),
        (short(staging="x/{arc}"), "4: destination.staging: staging 'x/{arc}' has an unknown field: arc"),
        (
            short(staging='"{repository}"'),
            "4: destination.staging: staging '{repository}' should hold {arch}",
        ),
        (short(staging='"{repository}/{arch}/"'), "4: destination.staging: for sw64: not a repository"),
        (short(username="ci"), "4: destination.username: goes with password_secret, which is not there"),
        (short(password_secret="x"), "4: destination.password_secret: goes with username"),
        (short(ca="ca.pem"), "4: destination.ca: 'ca.pem' is not a file in the configuration folder"),
        (short(immutable='["{major}"]'), "4: destination.immutable[0]: '{major}' is no pattern of `tags`"),
        (short(on_race="win"), "4: destination.on_race: input should be 'stop' or 'rebase'"),
        (short(path="out"), "4: destination.path: unknown key"),
        (short(kind="ftp"), "1: destination: input tag 'ftp' found using 'kind' does not match"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, wanted: str) -> None:
    write_config(tmp_path, {"minios.yaml": MINIOS + text})
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path)
    line, _, rest = wanted.partition(":")
    found = caught.value.details.replace(f"{tmp_path}/", "")
    assert f"minios.yaml:{FIRST + int(line) - 1}:{rest}" in found


def test_a_tag_that_is_kept_for_notes(tmp_path: Path) -> None:
    write_config(tmp_path, {"minios.yaml": MINIOS.replace("latest", "_minios-claim")})
    with pytest.raises(ConfigError, match="makes a tag that is kept for notes about images"):
        load_project(tmp_path)


def test_no_password_goes_to_another_host(tmp_path: Path) -> None:
    found = read(write_config(tmp_path, {"keys/ca.pem": "x"}), FULL)
    same = found.moved_to("registry.example:5000/other", plain_http=False)
    assert (same.path, same.username, same.password_secret) == ("other", "ci", "registry-password")
    other = found.moved_to("registry.example:5001/other", plain_http=True)
    assert (other.username, other.password_secret, other.ca) == ("", "", "")
    assert (other.format, other.speaks_http) == ("docker", True)
    with pytest.raises(ValidationError):
        found.moved_to("nowhere", plain_http=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9:5000", "localhost", "LOCALHOST:1", "[::1]:5000"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["128.0.0.1", "localhost.example", "127.0.0.1.example:5000", "[::2]", "r"])
def test_no_loopback(host: str) -> None:
    assert not is_loopback(host)


LOGIN = "  workers: {NAME: {username: sw, password_secret: sw-password}}\n"


def test_workers_log_in_by_arch(tmp_path: Path) -> None:
    found = read(tmp_path, short() + LOGIN.replace("NAME", "sw64"))
    assert (found.workers["sw64"].username, found.workers["sw64"].password_secret) == ("sw", "sw-password")
    moved = found.moved_to("other.example/x", plain_http=False)
    assert not moved.workers


def test_login_of_an_unknown_arch(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"destination\.workers\.sw65: 'sw65' has no file arches/sw65\.yaml"
    ):
        read(tmp_path, short() + LOGIN.replace("NAME", "sw65"))


def test_backend_of_an_arch(tmp_path: Path) -> None:
    text = MINIOS.replace("  title: tiny\n", "  title: tiny\n  backend: docker\n") + short()
    arch = SW64 + "backend: oci\n"
    project = load_project(write_config(tmp_path, {"minios.yaml": text, "arches/sw64.yaml": arch}))
    assert [project.backend(name) for name in ("x86_64", "sw64")] == ["docker", "oci"]
    assert project.backend("sw64", "docker") == "docker"
    with pytest.raises(ConfigError, match="unknown backend 'podman': there are oci and docker"):
        project.backend("sw64", "podman")
    project.check_backend(["x86_64"], "", registry=True)
    with pytest.raises(ConfigError, match="backend docker for x86_64: the worker's engine hands images over"):
        project.check_backend(["sw64", "x86_64"], "", registry=False)
