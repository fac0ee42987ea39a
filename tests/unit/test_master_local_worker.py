from __future__ import annotations

from typing import TYPE_CHECKING

from buildbot_worker.base import BotBase
from minios_master.local_worker import OUTPUT_SECONDS, PromptLocalWorker

if TYPE_CHECKING:
    from pathlib import Path


def test_output_comes_sooner_than_buildbots_own(tmp_path: Path) -> None:
    worker = PromptLocalWorker("local-x86_64", max_builds=1)
    assert worker.name == "local-x86_64"
    # As the worker does when it starts.
    remote = worker.LocalWorkerFactory("local-x86_64", str(tmp_path))
    assert remote.bot.buffer_timeout == OUTPUT_SECONDS
    assert BotBase("plain", False).buffer_timeout > OUTPUT_SECONDS
