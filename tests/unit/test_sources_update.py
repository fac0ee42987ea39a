from __future__ import annotations

import dataclasses
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from configbed import ROOT, SOURCES
from driftbed import drifting_project
from minios_master.cli.output import CliContext
from minios_master.cli.sources_update import update

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError
from minios_steps.core.upstream.discoveries import Discovered, Discoveries
from minios_steps.core.upstream.pin import pin

if TYPE_CHECKING:
    from pathlib import Path

FOUND = Discovered(
    "1.39.0", "c" * 64, 9, "https://example.org/x", "F" * 40, ("a.patch", "b.patch"), (), "now"
)


def pinned(tmp_path: Path, text: str, *releases: Discovered) -> list[str]:
    """The lines that come in, with those around them."""
    path = tmp_path / "sources.yaml"
    path.write_text(text, "utf-8")
    after = pin(path, releases or (FOUND,))
    assert path.read_text("utf-8") == text
    before = text.splitlines()
    lines = after.splitlines()
    # Nothing goes, nothing moves.
    left = iter(lines)
    assert all(line in left for line in before)
    start = next(i for i, line in enumerate(lines) if i >= len(before) or line != before[i])
    return lines[start : start + len(lines) - len(before)]


def test_written_as_the_others_are(tmp_path: Path) -> None:
    text = (ROOT / "config" / "sources.yaml").read_text("utf-8")
    assert pinned(tmp_path, text) == [
        '  "1.39.0":',
        f"    sha256: {'c' * 64}",
        "    epoch: 9",
        "    patches:",
        "      - a.patch",
        "      - b.patch",
    ]


def test_without_quotes_and_patches(tmp_path: Path) -> None:
    release = dataclasses.replace(FOUND, patches=())
    assert pinned(tmp_path, SOURCES, release) == ["  1.39.0:", f"    sha256: {'c' * 64}", "    epoch: 9"]


@pytest.mark.parametrize("version", ["1.37.1", "1.1.1", "1.39.0"])
def test_stands_in_its_place(tmp_path: Path, version: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(SOURCES, "utf-8")
    after = pin(path, [dataclasses.replace(FOUND, version=version)])
    found = [line.strip(" :") for line in after.splitlines() if line.startswith("  1.")]
    assert found == sorted(["1.35.0", "1.38.0", version], key=lambda text: [int(x) for x in text.split(".")])


def test_several_and_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    text = SOURCES.partition("mirrors:")
    turned = f"{text[1]}{text[2]}{text[0]}".rstrip("\n")
    later = dataclasses.replace(FOUND, version="1.40.0", patches=())
    assert [line for line in pinned(tmp_path, turned, FOUND, later) if ".0" in line] == [
        "  1.39.0:",
        "  1.40.0:",
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"releases: {{1.35.0: {{sha256: {'a' * 64}, epoch: 1}}}}\nmirrors: [{{kind: file, path: x}}]\n",
        SOURCES.replace("patches: [one.patch]", "patches: [one.patch\n      ]").replace("1.38.0", "1.30.0"),
    ],
)
def test_laid_out_otherwise(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.yaml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"1\.39\.0 cannot be added to it as it is laid out"):
        pin(tmp_path / "sources.yaml", [FOUND])


def test_wrong_file(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text("releases: {}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"sources\.yaml:1: "):
        pin(tmp_path / "sources.yaml", [FOUND])


class Context:
    def __init__(self, folder: Path) -> None:
        self.project = drifting_project(folder)
        self.obj = CliContext(self.project.root, folder / "state")
        self.sources = self.project.root / "sources.yaml"


def test_diff_is_printed_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctx: Any = Context(tmp_path)
    before = ctx.sources.read_text("utf-8")
    update(ctx)
    said = capsys.readouterr()
    assert ctx.sources.read_text("utf-8") == before
    assert said.out.startswith("--- a/config/sources.yaml\n+++ b/config/sources.yaml\n@@ ")
    assert "+  1.40.0:\n" in said.out
    assert said.err == (
        "1.40.0 was not good on every arch yet; a pinned release gets its tags without being asked for\n"
        "1.40.0: left out: two is stale\n"
    )
    # Other people's tools take it.
    done = subprocess.run(["git", "apply", "-"], input=said.out, cwd=tmp_path, text=True, check=False)
    assert done.returncode == 0
    assert load_project(ctx.project.root).sources.releases["1.40.0"].epoch == 7


def test_diff_of_a_file_without_a_last_line_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctx: Any = Context(tmp_path)
    first, middle, last = ctx.sources.read_text("utf-8").partition("mirrors:")
    ctx.sources.write_text(f"{middle}{last}{first}".rstrip("\n"), "utf-8")
    update(ctx)
    out = capsys.readouterr().out
    assert "\n\\ No newline at end of file\n" in out
    done = subprocess.run(["git", "apply", "-"], input=out, cwd=tmp_path, text=True, check=False)
    assert done.returncode == 0
    assert load_project(ctx.project.root).sources.releases["1.40.0"].epoch == 7


def test_pinned_before_it_was_approved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctx: Any = Context(tmp_path)
    ctx.project.discoveries.mark_passed("1.40.0")
    update(ctx)
    assert capsys.readouterr().err.startswith("1.40.0 waits for approval; a pinned release gets its tags")
    ctx.project.discoveries.approve("1.40.0", "somebody")
    update(ctx)
    assert capsys.readouterr().err == "1.40.0: left out: two is stale\n"


def test_written_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctx: Any = Context(tmp_path)
    update(ctx, "1.40.0", write=True)
    assert "sources.yaml is written\n" in capsys.readouterr().err
    release = load_project(ctx.project.root).sources.releases["1.40.0"]
    assert release == ctx.project.discovered["1.40.0"].release
    # There is nothing left to pin.
    update(ctx)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "nothing was found that is not pinned\n")
    with pytest.raises(ConfigError, match=r"1\.40\.0 is not a discovered release .*there are: none"):
        update(ctx, "1.40.0")


def test_unknown_release(tmp_path: Path) -> None:
    ctx: Any = Context(tmp_path)
    Discoveries(ctx.project.discoveries.path)
    with pytest.raises(ConfigError, match=r"1\.99\.0 is not .*there are: 1\.40\.0"):
        update(ctx, "1.99.0")
