"""Applying patches strictly."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_SECONDS = 60

# Inside a repository git would take paths as relative to its top, and pass over those
# outside the current folder without a word. People's settings loosen what applies.
_ENVIRONMENT: Mapping[str, str | None] = {
    **dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_CONFIG_PARAMETERS")),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": "0",
    # For git before 2.32, which knows no GIT_CONFIG_GLOBAL.
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
}


def apply_patch(patch: Path, tree: Path, cancelled: Callable[[], bool] = never) -> None:
    """Apply one patch (`-p1`) to a tree with `git apply`: all of it, without fuzz, or nothing.

    Args:
        patch: the patch.
        tree: the folder its paths are relative to.
        cancelled: asked while git runs.

    Raises:
        SourceError: there is no git, or the patch does not apply; git's first line is quoted.
        CancelledError: cancelled.
    """
    if not shutil.which("git"):
        raise SourceError(f"{patch.name}: applying a patch needs git", hint="install git")
    tree = tree.resolve()
    if (tree / ".git").exists():
        raise SourceError(f"{patch.name}: the source holds a .git, whose settings git would follow")
    done = child.run(
        ("git", "apply", "-p1", "--whitespace=nowarn", str(patch.resolve())),
        folder=tree,
        environment={**_ENVIRONMENT, "GIT_CEILING_DIRECTORIES": str(tree.parent)},
        seconds=_SECONDS,
        cancelled=cancelled,
    )
    if done.code:
        complaint = next(
            (line for line in done.errors.splitlines() if line.strip()), f"exit status {done.code}"
        )
        raise SourceError(f"{patch.name} does not apply: {complaint}", details=done.errors)
