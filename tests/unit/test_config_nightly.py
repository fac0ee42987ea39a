from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from configbed import MINIOS, ROOT, write_config

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_off_by_default(tmp_path: Path) -> None:
    nightly = load_project(write_config(tmp_path)).minios.nightly
    assert not nightly.enabled
    assert nightly.retry == "machine"
    assert nightly.clean_check


def test_shipped_configuration() -> None:
    project = load_project(ROOT / "config")
    assert project.minios.nightly.enabled
    assert project.minios.nightly.cron == "30 2 * * *"
    assert set(project.nightly_arches) == set(project.arches)


def test_good(tmp_path: Path) -> None:
    text = 'nightly:\n  cron: "*/5 0-6 * * mon-fri"\n  versions: [newest, 1.35.0]\n  variants: [static]\n'
    nightly = load_project(write_config(tmp_path, {"minios.yaml": MINIOS + text})).minios.nightly
    assert nightly.versions == ("newest", "1.35.0")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            'cron: "30 25 * * *"',
            "nightly.cron: '30 25 * * *' is no time in the form of crontab(5): minute, hour",
        ),
        ("cron: at night", "nightly.cron: 'at night' is no time in the form of crontab(5)"),
        ('cron: "@daily"', "nightly.cron: '@daily' is no time in the form of crontab(5)"),
        ('cron: "0 0 2 * * *"', "nightly.cron: '0 0 2 * * *' is no time in the form of crontab(5)"),
        ('cron: "0 0 31 2 *"', "nightly.cron: '0 0 31 2 *' never comes"),
        ("growth: 0", "nightly.growth: input should be greater than 0"),
        ("growth: lots", "nightly.growth: input should be a valid number"),
        ("retry: never", "nightly.retry: input should be 'machine' or 'all'"),
        ("versions: [9.9.9]", "nightly.versions[0]: version 9.9.9 is not pinned in sources.yaml, which has"),
        ("variants: [both]", "nightly.variants[0]: input should be 'static' or 'dynamic'"),
        ("corn: x", "nightly.corn: unknown key, did you mean 'cron'?"),
    ],
)
def test_one_clear_line(text: str, what: str, tmp_path: Path) -> None:
    write_config(tmp_path, {"minios.yaml": f"{MINIOS}nightly:\n  {text}\n"})
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path)
    assert caught.value.what.startswith(f"{tmp_path}/minios.yaml:16: {what}"), caught.value.what
    assert caught.value.details.count("\n") == 0


def test_variant_needs_tags(tmp_path: Path) -> None:
    text = MINIOS.replace('  dynamic: ["{version}-dynamic"]\n', "")
    write_config(tmp_path, {"minios.yaml": f"{text}nightly:\n  variants: [dynamic]\n"})
    with pytest.raises(ConfigError, match=r"nightly\.variants\[0\]: variant dynamic has no tags$"):
        load_project(tmp_path)
