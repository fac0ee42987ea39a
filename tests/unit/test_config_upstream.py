from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from configbed import MINIOS, ROOT, write_config
from docsbed import DOCUMENTS, blocks

from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.config.load import load_project
from minios_steps.core.config.nightly import Nightly
from minios_steps.core.config.notices import Notices
from minios_steps.core.config.upstream import Upstream
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

WATCH = """\
upstream:
  watch:
    - kind: listing
      url: https://example.org/downloads/
  keys: [{file: test.asc, fingerprint: %s}]
""" % ("AB" * 20)
KEY = {"keys/test.asc": "key"}


def problem(folder: Path, upstream: str, more: dict[str, str] | None = None) -> str:
    write_config(folder, {"minios.yaml": MINIOS + upstream, **(KEY if more is None else more)})
    with pytest.raises(ConfigError) as caught:
        load_project(folder)
    return caught.value.what.replace(f"{folder}/", "")


def test_nobody_is_asked_by_default(tmp_path: Path) -> None:
    upstream = load_project(write_config(tmp_path)).minios.upstream
    assert upstream.watch == ()
    assert upstream.release == "hold"
    assert upstream.candidate_tags.of("static") == ("{version}-rc",)
    assert upstream.candidate_tags.of("dynamic") == ("{version}-dynamic-rc",)


def test_shipped_configuration() -> None:
    upstream = load_project(ROOT / "config").minios.upstream
    assert upstream.watch[0].downloads == "https://busybox.net/downloads/"
    assert upstream.keys[0].fingerprint == "C9E9416F76E610DBD09D040F47B70C55ACC9965B"


def test_good(tmp_path: Path) -> None:
    tags = '  candidate_tags: {static: ["try-{version}"]}\n'
    write_config(tmp_path, {"minios.yaml": MINIOS + WATCH + tags, **KEY})
    upstream = load_project(tmp_path).minios.upstream
    assert upstream.candidate_tags.of("static") == ("try-{version}",)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("downloads/", "downloads", "minios.yaml:18: upstream.watch[0].url: string should match pattern"),
        ("example", "me:pass@example", "minios.yaml:18: upstream.watch[0].url: string should match pattern"),
        ("https:", "ftp:", "minios.yaml:18: upstream.watch[0].url: string should match pattern"),
        ("AB" * 20, "ab" * 20, "minios.yaml:19: upstream.keys[0].fingerprint: string should match pattern"),
        ("  keys:", "  interval: 0\n  keys:", "minios.yaml:19: upstream.interval: input should be greater"),
        ("test.asc", "none.asc", "minios.yaml:19: upstream.keys[0].file: keys/none.asc is missing"),
        ("keys:", "keys: []\n# ", "minios.yaml:19: upstream.keys: nothing can be verified without a key"),
        (
            "test.asc",
            "../minios.yaml",
            "minios.yaml:19: upstream.keys[0].file: keys/../minios.yaml is missing",
        ),
        (
            "  keys:",
            "  candidate_tags: {static: [rc]}\n  keys:",
            "minios.yaml:19: upstream.candidate_tags.static[0]: a candidate's tag should hold {version}",
        ),
        (
            "  keys:",
            '  candidate_tags: {static: ["{version}-dynamic"]}\n  keys:',
            "minios.yaml:19: upstream.candidate_tags.static[0]: '{version}-dynamic' makes a tag of a release",
        ),
    ],
)
def test_wrong(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert problem(tmp_path, WATCH.replace(old, new)).startswith(what)


def test_examples_of_the_operators_page() -> None:
    page = next(path for path in DOCUMENTS if path.name == "operator.md")
    told = [yaml.safe_load(block.text) for block in blocks(page) if block.language == "yaml"]
    models = {
        "destination": RegistryDestination,
        "upstream": Upstream,
        "notices": Notices,
        "nightly": Nightly,
    }
    found = {key: models[key].model_validate(value) for each in told for key, value in each.items()}
    assert set(found) == set(models)
