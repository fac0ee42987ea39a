from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, get_args

import pytest
from configbed import ROOT
from docsbed import DOCUMENTS, blocks, prose

from minios_steps.core.cell_result import Outcome
from minios_steps.core.config.arch import Arch

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
BANNED = (
    # Places of one machine.
    r"(?<![\w.])/(?:work|tmp|root|home)/",
    r"\bsessions?\b",
    r"\bhelpers?\b",
    r"\bissue trackers?\b",
)
HOSTS = {"127.0.0.1"}
"""What a document may link to outside: a host that goes away takes the document with it."""

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def anchors(document: Path) -> set[str]:
    """What `#` can point at: headings in lower case, without punctuation, spaces as dashes."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def first_column(document: Path, title: str) -> list[str]:
    """The names in the first column of the table below a heading."""
    _, found, below = document.read_text("utf-8").partition(f"\n## {title}\n")
    assert found, f"{document.name}: no heading {title!r}"
    return re.findall(r"^\| `([^`]+)` \|", below.partition("\n## ")[0], re.MULTILINE)


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.is_file(), f"{document.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{document.name}: {target}"


@each_document
def test_nothing_that_is_nobodys_business(document: Path) -> None:
    text = document.read_text("utf-8")
    found = [match[0] for word in BANNED for match in re.finditer(word, text, re.IGNORECASE)]
    assert found == []
    hosts = set(re.findall(r"https?://([^/:\s`)]+)", text))
    # RFC 2606 keeps that domain for documents.
    assert {host for host in hosts if not host.endswith(".example.org")} <= HOSTS


@each_document
def test_commands_are_where_they_are_tested(document: Path) -> None:
    for block in blocks(document):
        assert block.language in {"console", "python", "yaml"}, f"{document.name}:{block.line}"
        assert bool(block.commands) == (block.language == "console"), f"{document.name}:{block.line}"
    assert not re.search(r"^\$ ", prose(document), re.MULTILINE)
    assert "```" not in prose(document)


def test_map_names_every_folder() -> None:
    command = ["git", "-c", "safe.directory=*", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    folders = {path.partition("/")[0] for path in listed.stdout.splitlines() if "/" in path}
    told = {name.rstrip("/") for name in first_column(README, "Where things are")}
    assert folders - told == set()
    assert {name for name in told if not (ROOT / name).is_dir()} == set()


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)", README.read_text("utf-8")))
    assert linked == {f"docs/{path.name}" for path in DOCUMENTS[1:]}


def test_every_outcome_is_told() -> None:
    told = first_column(ROOT / "docs" / "release-engineer.md", "What each outcome means")
    assert sorted(told) == sorted(get_args(Outcome))


def test_every_key_of_an_arch_is_told() -> None:
    assert first_column(ROOT / "docs" / "vendor.md", "The keys") == list(Arch.model_fields)
