from __future__ import annotations

from buildbot_worker.bot import BotBase
from minios_master.local_worker import OUTPUT_SECONDS, PromptLocalWorker


def test_output_comes_sooner_than_buildbots_own(tmp_path: object) -> None:
    worker = PromptLocalWorker("local-x86_64", max_builds=1)
    assert worker.name == "local-x86_64"
    assert worker.max_builds == 1
    remote = worker.LocalWorkerFactory("local-x86_64", str(tmp_path))
    assert remote.bot.buffer_timeout == OUTPUT_SECONDS < BotBase.buffer_timeout
