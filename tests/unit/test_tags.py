from __future__ import annotations

import pytest

from minios_steps.core.config.minios import Minios
from minios_steps.core.tags import release_tags, render
from minios_steps.core.version import Version

PINNED = [Version.parse(text) for text in ("1.9.2", "1.10.0", "1.10.1", "2.0.0")]
MINIOS = Minios.model_validate(
    {
        "image": {"name": "x", "title": "x", "description": "x"},
        "arches": {"x86_64": "required"},
        "tags": {
            "static": ["{version}", "{minor}", "{major}", "latest"],
            "dynamic": ["{version}-dynamic", "dynamic", "dynamic"],
        },
    }
)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.0.0", ("2.0.0", "2.0", "2", "latest")),
        ("1.10.1", ("1.10.1", "1.10", "1")),
        ("1.10.0", ("1.10.0",)),
        ("1.9.2", ("1.9.2", "1.9")),
    ],
)
def test_a_tag_belongs_to_the_newest_release_that_has_it(version: str, expected: tuple[str, ...]) -> None:
    assert release_tags(MINIOS, "static", Version.parse(version), PINNED) == expected


def test_a_tag_is_there_once() -> None:
    assert release_tags(MINIOS, "dynamic", PINNED[-1], PINNED) == ("2.0.0-dynamic", "dynamic")


def test_a_version_that_is_not_in_the_list_counts_too() -> None:
    newer = Version.parse("3.0.0")
    assert "latest" in release_tags(MINIOS, "static", newer, PINNED)


def test_a_variant_without_tags() -> None:
    bare = MINIOS.model_copy(update={"tags": {}})
    assert release_tags(bare, "static", PINNED[0], PINNED) == ()


def test_render() -> None:
    assert render("v{version}-{minor}_{major}", Version(1, 38, 0)) == "v1.38.0-1.38_1"
