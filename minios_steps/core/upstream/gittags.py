"""The releases that a git repository's tags name."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.errors import ConfigError, SourceError
from minios_steps.core.sources import child
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_SECONDS = 60
_TAG = re.compile(r"[0-9a-f]{40,64}\trefs/tags/(?:busybox[-_])?v?([0-9]+(?:[._][0-9]+){2})", re.ASCII)

# git's own words quote the URL, which may have a password or a token in it.
_SECRET = re.compile(r"(?<=://)[^/\s@]*@|\?[^\s']*")

# Nobody is there to type a password, and people's settings must not say where else to ask.
_ENVIRONMENT: Mapping[str, str | None] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


def parse_tags(text: str) -> tuple[Version, ...]:
    """The versions in what `git ls-remote --tags` prints, oldest first.

    BusyBox's tags are `1_38_0`; those of mirrors may have dots or a `v`. Others, such as
    `1_00_rc1`, and the entries that tell what an annotated tag points at, are passed over.
    """
    found = set()
    for line in text.splitlines():
        if match := _TAG.fullmatch(line.removesuffix("^{}")):
            try:
                found.add(Version.parse(match[1].replace("_", ".")))
            except ConfigError:
                continue
    return tuple(sorted(found))


def list_tags(
    repository: str, *, insecure: bool, folder: Path, cancelled: Callable[[], bool] = never
) -> tuple[Version, ...]:
    """Ask a repository for its releases; nothing is cloned.

    Args:
        repository: a URL or a path, as git takes it.
        insecure: whether the protocols without encryption are allowed.
        folder: where git runs; outside of any repository.
        cancelled: asked while git runs.

    Raises:
        SourceError: there is no git, or it cannot be asked; git's last line is quoted.
        CancelledError: cancelled.
    """
    if not shutil.which("git"):
        raise SourceError("watching tags needs git, and there is none on this machine", hint="install git")
    allowed = "https:ssh:file:http:git" if insecure else "https:ssh:file"
    done = child.run(
        ("git", "ls-remote", "--tags", "--", repository),
        folder=folder,
        environment={**_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": allowed},
        seconds=_SECONDS,
        cancelled=cancelled,
    )
    if done.code:
        lines = [line for line in done.errors.splitlines() if line.strip()]
        told = _SECRET.sub("", lines[-1]) if lines else f"exit status {done.code}"
        raise SourceError(f"git ls-remote: {told[:300]}")
    return parse_tags(done.output)
