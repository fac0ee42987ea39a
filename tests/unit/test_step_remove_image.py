"""`RemoveImage`: it always runs, removes what is ours, and says when something stays."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import CANCELLED, SUCCESS, WARNINGS
from dockerworkerbed import DockerCase, clean
from stepbed import interrupted

from minios_steps.remove_image import RemoveImage


class Removing(DockerCase):
    def remove(self, **kwargs: Any) -> None:
        self.prepare(RemoveImage(**kwargs))

    def test_removed(self) -> Any:
        self.remove()
        self.expect_commands(clean().exit(0))
        self.expect_outcome(SUCCESS, "nothing stays on the Docker engine")
        return self.run_step()

    def test_something_stays(self) -> Any:
        self.remove()
        self.expect_commands(clean().stderr("conflict: image is being used\n").exit(1))
        self.expect_outcome(WARNINGS, "something stays on the Docker engine: conflict: image is being used")
        return self.run_step()

    def test_cancelled(self) -> Any:
        self.remove()
        self.expect_commands(interrupted(clean()))
        self.interrupt_nth_remote_command(0)
        self.expect_outcome(CANCELLED)
        return self.run_step()

    def test_runs_however_the_build_ended(self) -> None:
        step = RemoveImage()
        assert step.alwaysRun
        assert not step.haltOnFailure
        assert not step.flunkOnFailure
