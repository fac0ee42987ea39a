"""Workers inside the master's process: nothing to install, one megabyte each."""

from __future__ import annotations

from typing import Any

from buildbot.worker.local import LocalWorker
from buildbot_worker.bot import LocalWorker as RemoteLocalWorker

OUTPUT_SECONDS = 2.0
"""How long output is collected before it is sent on; Buildbot's 5 s make progress jump,
and each time costs the master work that the compilers next to it need."""


class _PromptRemote(RemoteLocalWorker):  # type: ignore[misc]
    """The worker's side, sending output at once enough for a live display."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bot.buffer_timeout = OUTPUT_SECONDS


class PromptLocalWorker(LocalWorker):  # type: ignore[misc]
    """A `LocalWorker` whose output arrives promptly."""

    def checkConfig(self, name: str, workdir: str | None = None, **kwargs: Any) -> None:
        """Check as the parent does, then take the prompt worker's side."""
        super().checkConfig(name, workdir=workdir, **kwargs)
        self.LocalWorkerFactory = _PromptRemote
