"""`minios sources update`: discovered releases become pinned ones, as a diff that is reviewed."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.projects import open_project
from minios_master.settings import Settings
from minios_steps.core.errors import ConfigError
from minios_steps.core.sources.storage import replacing
from minios_steps.core.upstream.pin import pin
from minios_steps.core.version import Version

from .output import CliContext, err_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minios_steps.core.upstream.discoveries import Discovered

_NO_END = "\\ No newline at end of file"
"""What diff(1) writes below the last line of a file that has no end; patches do not apply without it."""


def update(
    ctx: typer.Context,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Only this release; else all that were found.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write it; else it is only printed.")] = False,
) -> None:
    """Print what pins the discovered releases in sources.yaml, as a unified diff.

    Their sha256 is what upstream's key vouches for, their patches are those that apply. Comments
    stay. Review it, then give `--write`, or feed the diff to `git apply`.
    """
    context: CliContext = ctx.obj
    project = open_project(Settings(context.config, context.state))
    chosen = _choose(project.discovered, version)
    path = (context.config / "sources.yaml").resolve()
    before = path.read_text("utf-8")
    after = pin(path, chosen)
    name = f"{context.config.name}/sources.yaml"
    diff = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    for line in diff:
        sys.stdout.write(line if line.endswith("\n") else f"{line}\n{_NO_END}\n")
    if not chosen:
        err_console().print("nothing was found that is not pinned", soft_wrap=True)
    for release in chosen:
        if not release.approved:
            state = "waits for approval" if release.passed else "was not good on every arch yet"
            told = f"{release.version} {state}; a pinned release gets its tags without being asked for"
            err_console().print(told, soft_wrap=True)
        for line in release.refused:
            err_console().print(f"{release.version}: left out: {line}", soft_wrap=True)
    if write:
        with replacing(path) as stream:
            stream.write(after.encode())
        err_console().print(f"{path} is written", soft_wrap=True)


def _choose(found: Mapping[str, Discovered], version: str | None) -> list[Discovered]:
    """The releases to pin, the oldest first."""
    if version is not None and version not in found:
        there = ", ".join(found) or "none"
        raise ConfigError(
            f"{version} is not a discovered release that is not pinned yet (there are: {there})",
            hint="a master that stays (`minios up`) looks for releases",
        )
    chosen = [found[version]] if version is not None else list(found.values())
    return sorted(chosen, key=lambda release: Version.parse(release.version))
