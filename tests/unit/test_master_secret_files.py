"""What is wrong with secrets is said before anything is started or compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from configbed import MINIOS, write_config
from minios_master.secret_files import check_secrets
from minios_master.settings import Settings

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project


def signing(tmp_path: Path) -> tuple[Project, Settings]:
    text = MINIOS + "signing: {key_secret: key, password_secret: word}\n"
    project = load_project(write_config(tmp_path / "config", {"minios.yaml": text}))
    return project, Settings(project.root, tmp_path / "state")


def write(settings: Settings, *names: str, mode: int = 0o600) -> None:
    settings.secrets.mkdir(parents=True, exist_ok=True)
    for name in names:
        (settings.secrets / name).write_text("secret", "utf-8")
        (settings.secrets / name).chmod(mode)


def test_nothing_is_needed_without_a_key(tmp_path: Path) -> None:
    project = load_project(write_config(tmp_path / "config"))
    check_secrets(project, Settings(project.root, tmp_path / "state"))


def test_all_is_there(tmp_path: Path) -> None:
    project, settings = signing(tmp_path)
    write(settings, "key", "word")
    check_secrets(project, settings)


@pytest.mark.parametrize(
    ("there", "key", "missing"), [("word", "key_secret", "key"), ("key", "password_secret", "word")]
)
def test_what_is_missing(tmp_path: Path, there: str, key: str, missing: str) -> None:
    project, settings = signing(tmp_path)
    write(settings, there)
    with pytest.raises(ConfigError) as caught:
        check_secrets(project, settings)
    path = settings.secrets / missing
    assert caught.value.what == f"signing.{key} is {missing}, and there is no file {path}"
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o601])
def test_others_may_read_one(tmp_path: Path, mode: int) -> None:
    project, settings = signing(tmp_path)
    write(settings, "key", "word")
    write(settings, "of-a-registry", mode=mode)
    with pytest.raises(ConfigError) as caught:
        check_secrets(project, settings)
    path = settings.secrets / "of-a-registry"
    assert str(caught.value) == f"{path}: others may read this secret (chmod 600 {path})"


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_something_that_is_no_file(tmp_path: Path, kind: str) -> None:
    project, settings = signing(tmp_path)
    write(settings, "key", "word")
    odd = settings.secrets / "odd"
    if kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"odd: is no file, and every secret is one"):
        check_secrets(project, settings)
