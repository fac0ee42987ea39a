"""`SmokeImage`: the checks in a container; never passed in silence where nothing can run."""

from __future__ import annotations

import re
from typing import Any

from archbed import make_arch
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS, WARNINGS
from dockerworkerbed import DOCKER, WORKDIR, DockerCase, docker, engine, sent, version
from smokebed import answers
from stepbed import interrupted, shell

from minios_steps.core.smoke_checks import smoke_checks
from minios_steps.smoke_image import SmokeImage

APPLETS = ("cat", "sh", "tr", "printf", "sed")
CONFIG = {"FEATURE_SH_MATH": "y", "FEATURE_SH_MATH_64": "n"}
CHECKS = smoke_checks(APPLETS, CONFIG, inside=True)
RUN = [check.name for check in CHECKS if not check.skip]
EARLIER = [{"name": "pipe", "outcome": "passed", "detail": "ONE"}]


class SmokingInside(DockerCase):
    def smoke(self, applets: tuple[str, ...] = APPLETS, **kwargs: Any) -> None:
        self.scripts: list[str] = []
        self.prepare(SmokeImage(arch=make_arch(), **kwargs), smoke=EARLIER)
        (self.cell / "applets.txt").write_text("\n".join(applets), "utf-8")
        (self.cell / "dot.config").write_text("CONFIG_FEATURE_SH_MATH=y\n", "utf-8")

    def trial(self, **options: Any) -> Any:
        return docker(DOCKER.trial, timeout=60, max_lines=20_000, **options)

    def up_to_script(self) -> tuple[Any, ...]:
        return (
            *engine(),
            self.trial().exit(0),
            docker(DOCKER.keep(RUN)).exit(0),
            sent("smoke.sh", lambda data: self.scripts.append(data.decode())),
        )

    def run_script(self, timeout: int = 90, max_time: int = 3600) -> Any:
        return shell(
            ["sh", "smoke.sh"], workdir=WORKDIR, timeout=timeout, max_time=max_time, max_lines=20_000
        )

    def answering(self, *commands: Any, script: Any = None, **wrong: tuple[int, str]) -> None:
        """The last command is the script, which answers as the image would."""

        def answer(command: Any) -> None:
            nonce = re.findall(r"echo \"([0-9a-f]{16}) end\"", self.scripts[0])[0]
            command.remote_update([({"stdout": answers(nonce, CHECKS, **wrong)}, 0)])

        self.expect_commands(*commands, (script or self.run_script()).behavior(answer).exit(0))

    def not_run(self, why: str) -> Any:
        self.expect_outcome(WARNINGS, f"not run: {why}")
        return self.run_and_look(why)

    async def run_and_look(self, why: str) -> None:
        await self.run_step()
        told = self.property("smoke")
        assert told[0] == EARLIER[0]
        assert {(check["outcome"], check["detail"]) for check in told[1:]} == {("skipped", f"not run: {why}")}
        assert [check["name"] for check in told[1:]] == [f"image: {check.name}" for check in CHECKS]

    async def test_passed(self) -> None:
        self.smoke()
        self.answering(*self.up_to_script())
        told = f"{len(RUN)} checks passed in a container, {len(CHECKS) - len(RUN)} not configured"
        self.expect_outcome(SUCCESS, told)
        await self.run_step()
        told = {check["name"]: check["outcome"] for check in self.property("smoke")}
        assert told["image: pipe"] == "passed"
        assert told["image: tar"] == "skipped"
        [script] = self.scripts
        # Each check has its own folder, and the shell around it is the image's.
        assert "check pipe docker exec --workdir /smoke/pipe " in script
        assert "/bin/sh -c" not in script

    async def test_a_check_fails(self) -> None:
        self.smoke()
        self.answering(*self.up_to_script(), pipe=(0, "two"))
        self.expect_outcome(
            FAILURE,
            "smoke test failed in the image: pipe: expected 'ONE / TWO / THREE', found 'two'",
        )
        await self.run_step()

    async def test_image_does_not_answer(self) -> None:
        self.smoke()
        self.expect_commands(*self.up_to_script(), self.run_script().exit(1))
        self.expect_outcome(FAILURE, f"smoke test failed in the image: {RUN[0]}: did not answer")
        await self.run_step()

    def test_cpu_that_cannot_run_here(self) -> Any:
        self.smoke()
        # 20.10 and 28.2 print this, and end with 1.
        trial = self.trial().stderr("exec /bin/busybox: exec format error\n").exit(1)
        self.expect_commands(*engine(), trial)
        return self.not_run("the Docker engine of this worker cannot run linux/arm64/v8")

    def test_older_words_for_it(self) -> Any:
        self.smoke()
        told = 'standard_init_linux.go:190: exec user process caused "exec format error"\n'
        self.expect_commands(*engine(), self.trial().stderr(told).exit(1))
        return self.not_run("the Docker engine of this worker cannot run linux/arm64/v8")

    async def test_image_without_a_shell(self) -> None:
        self.smoke(applets=("cat",))
        self.expect_commands(*engine(), self.trial().exit(0))
        self.expect_outcome(WARNINGS, "not run: the image has no shell")
        await self.run_step()

    def test_image_does_not_start(self) -> Any:
        self.smoke()
        told = "exec /bin/busybox: no such file or directory\n"
        self.expect_commands(*engine(), self.trial().stderr(told).exit(1))
        self.expect_outcome(FAILURE, f"the image does not start: {told.strip()}")
        return self.run_step()

    def test_container_does_not_start(self) -> Any:
        self.smoke()
        failed = docker(DOCKER.keep(RUN)).stderr("no space left on device\n").exit(125)
        self.expect_commands(*self.up_to_script()[:3], failed)
        self.expect_outcome(FAILURE, "no container starts: no space left on device")
        return self.run_step()

    def test_engine_went_away(self) -> Any:
        self.smoke()
        self.expect_commands(version().stderr("Cannot connect\n").exit(1))
        self.expect_outcome(FAILURE, "no Docker engine on worker w1: Cannot connect")
        return self.run_step()

    async def test_slow_cpu(self) -> None:
        self.smoke(timeout_factor=3.0)
        slow = {"max_time": 10800}
        trial = docker(DOCKER.trial, timeout=180, max_lines=20_000, **slow).exit(0)
        keeper = docker(DOCKER.keep(RUN), timeout=900, **slow).exit(0)
        script = self.run_script(timeout=270, **slow)
        self.answering(*engine(factor=3), trial, keeper, self.up_to_script()[-1], script=script)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert "timeout -k 5 180" in self.scripts[0]

    async def test_cancelled(self) -> None:
        self.smoke()
        self.expect_commands(*self.up_to_script(), interrupted(self.run_script()))
        self.interrupt_nth_remote_command(5)
        self.expect_outcome(CANCELLED)
        await self.run_step()
        assert self.property("smoke") == EARLIER
