"""`SmokeTest`: what runs on the worker, and how its answers are judged."""

from __future__ import annotations

import re
from typing import Any

from archbed import make_arch
from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS, WARNINGS
from smokebed import answers
from stepbed import StepCase, disk_full, download, interrupted, shell
from tinyimage import make_image

from minios_steps.core.smoke_checks import smoke_checks
from minios_steps.smoke_test import SmokeTest

APPLETS = ("cat", "sh", "tr")
CONFIG = {"FEATURE_SH_MATH": "y", "FEATURE_SH_MATH_64": "n"}
CHECKS = smoke_checks(APPLETS, CONFIG)
WORKDIR = "build/smoke"
QEMU = "/usr/bin/qemu-aarch64-static"
SKIPPED = sum(1 for check in CHECKS if check.skip)
PASSED = len(CHECKS) - SKIPPED


class SmokeCase(StepCase):
    def smoke(self, **kwargs: Any) -> None:
        """The step after a build whose layer is in `cell`."""
        cell = self.folder / "cell"
        cell.mkdir()
        layer = make_image(cell).layer
        (cell / "applets.txt").write_text("\n".join(APPLETS), "utf-8")
        (cell / "dot.config").write_text("CONFIG_FEATURE_SH_MATH=y\n# CONFIG_FEATURE_SH_MATH_64 is not set\n")
        self.layer = layer.path.read_bytes()
        self.scripts: list[str] = []
        self.sent: list[bytes] = []
        self.setup_step(SmokeTest(arch=make_arch(), **{"variant": "static", **kwargs}))
        self.set_properties(native=True, emulator="", cell_dir=str(cell), layer=layer.as_json())

    def sending(self) -> Any:
        return download("layer.tar.gz", workdir=WORKDIR, text=False, into=self.sent.append)

    def up_to_script(self) -> tuple[Any, ...]:
        def keep(data: bytes) -> None:
            self.scripts.append(data.decode())

        return (
            self.sending(),
            download("smoke.sh", workdir=WORKDIR, text=True, into=keep),
        )

    def run_script(self, timeout: int = 300, max_time: int = 3600) -> Any:
        return shell(
            ["sh", "smoke.sh"], workdir=WORKDIR, timeout=timeout, max_time=max_time, max_lines=20_000
        )

    @property
    def nonce(self) -> str:
        """What the script that was sent marks its results with."""
        found = re.search(r"echo \"([0-9a-f]{16}) begin", self.scripts[0])
        assert found
        return found[1]

    def unpacked(self, command: Any) -> Any:
        def answer(remote: Any) -> None:
            remote.remote_update([({"stdout": f"{self.nonce} unpacked\n"}, 0)])

        return command.behavior(answer)

    def answering(self, command: Any, **wrong: tuple[int, str]) -> Any:
        def answer(remote: Any) -> None:
            remote.remote_update([({"stdout": answers(self.nonce, CHECKS, **wrong)}, 0)])

        return command.behavior(answer)


class Running(SmokeCase):
    async def test_natively(self) -> None:
        self.smoke()
        self.expect_commands(*self.up_to_script(), self.answering(self.run_script()).exit(0))
        told = f"{PASSED} checks passed natively, {SKIPPED} not configured"
        self.expect_outcome(SUCCESS, told)
        self.expect_no_property("problem")
        await self.run_step()
        assert self.sent == [self.layer]
        assert 'exec "$SMOKE_HERE"/./root/bin/busybox "$@"' in self.scripts[0]
        results = self.property("smoke")
        assert [result["name"] for result in results] == [check.name for check in CHECKS]
        assert {result["outcome"] for result in results} == {"passed", "skipped"}
        assert self.get_nth_step(0).getStatistics() == {"checks": len(CHECKS), "failed": 0}
        assert "passed  pipe: ONE / TWO / THREE\n" in self.log_text("checks")
        assert "skipped awk: applet awk not configured\n" in self.log_text("checks")

    async def test_under_the_emulator(self) -> None:
        self.smoke()
        self.set_properties(native=False, emulator=QEMU)
        self.expect_commands(*self.up_to_script(), self.answering(self.run_script()).exit(0))
        told = f"{PASSED} checks passed under qemu-aarch64-static, {SKIPPED} not configured"
        self.expect_outcome(SUCCESS, told)
        await self.run_step()
        assert f'exec {QEMU} "$SMOKE_HERE"/./root/bin/busybox "$@"' in self.scripts[0]

    async def test_dynamic(self) -> None:
        self.smoke(variant=Property("variant"))
        self.set_properties(variant="dynamic", interpreter="/lib/ld-linux-aarch64.so.1")
        self.expect_commands(*self.up_to_script(), self.answering(self.run_script()).exit(0))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        words = '"$SMOKE_HERE"/./root/lib/ld-linux-aarch64.so.1 --library-path "$SMOKE_HERE"/./root/usr/lib64'
        assert f'exec {words} "$SMOKE_HERE"/./root/bin/busybox "$@"' in self.scripts[0]

    async def test_limits(self) -> None:
        self.smoke(check_timeout=Property("seconds"), timeout_factor=2.0)
        self.set_properties(seconds=10)
        self.expect_commands(
            *self.up_to_script(),
            self.answering(self.run_script(timeout=600, max_time=7200)).exit(0),
        )
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert "timeout -k 5 20" in self.scripts[0]

    def test_no_way_to_run_it(self) -> Any:
        self.smoke()
        self.set_properties(native=False, emulator="")
        self.expect_outcome(WARNINGS, "not run: the worker cannot execute aarch64 and has no emulator")
        self.expect_property("smoke", [], "smoke")
        self.expect_no_property("problem")
        return self.run_step()


class Failing(SmokeCase):
    def judged(self, what: str, command: Any) -> Any:
        self.expect_commands(*self.up_to_script(), command)
        self.expect_outcome(FAILURE, what)
        self.expect_build_result_summary({"build": what})
        self.expect_property("problem", what, "smoke")
        return self.run_step()

    def test_wrong_answer(self) -> Any:
        self.smoke()
        wrong = self.answering(self.run_script(), arithmetic=(0, "41"))
        return self.judged(
            "smoke test failed natively: arithmetic: expected '42 -3 -1 1048576 42 8', found '41'",
            wrong.exit(0),
        )

    async def test_crash(self) -> None:
        self.smoke()
        self.set_properties(native=False, emulator=QEMU)
        wrong = self.answering(self.run_script(), pipe=(139, "qemu: uncaught target signal 11"))
        await self.judged(
            "smoke test failed under qemu-aarch64-static: pipe: killed by SIGSEGV:"
            " qemu: uncaught target signal 11",
            wrong.exit(0),
        )
        assert self.get_nth_step(0).getStatistic("failed") == 1
        outcomes = {result["name"]: result["outcome"] for result in self.property("smoke")}
        assert outcomes["pipe"] == "failed"
        assert outcomes["applets"] == "passed"

    def test_check_takes_too_long(self) -> Any:
        self.smoke()
        wrong = self.answering(self.run_script(), applets=(124, ""))
        return self.judged("smoke test failed natively: applets: ran into its time limit", wrong.exit(0))

    def test_applets_are_others(self) -> Any:
        self.smoke()
        wrong = self.answering(self.run_script(), applets=(0, "cat\nsh\nvi"))
        return self.judged(
            "smoke test failed natively: applets: missing: tr; not configured: vi", wrong.exit(0)
        )

    def test_script_dies(self) -> Any:
        self.smoke()
        return self.judged(
            "smoke test failed natively: arithmetic: did not answer",
            self.unpacked(self.run_script()).stderr("sh: cannot create directory\n").exit(1),
        )

    def test_forged_answers(self) -> Any:
        self.smoke()
        return self.judged(
            "smoke test failed natively: arithmetic: did not answer",
            self.unpacked(self.run_script()).stdout(answers("0123456789abcdef", CHECKS)).exit(0),
        )

    def test_silent_for_too_long(self) -> Any:
        self.smoke()
        return self.judged(
            "smoke test failed natively: arithmetic: did not answer",
            self.unpacked(self.run_script()).update("failure_reason", "timeout_without_output").exit(-1),
        )

    def refused(self, what: str, *commands: Any) -> Any:
        self.expect_commands(*commands)
        self.expect_outcome(FAILURE, what)
        self.expect_no_property("smoke")
        return self.run_step()

    def test_cannot_unpack(self) -> Any:
        self.smoke()
        return self.refused(
            "the worker cannot unpack the layer: tar: write error: No space left on device",
            *self.up_to_script(),
            self.run_script().stderr("tar: write error: No space left on device\n").exit(1),
        )

    def test_unpacks_for_too_long(self) -> Any:
        self.smoke()
        return self.refused(
            "the worker cannot unpack the layer: it ran into its time limit",
            *self.up_to_script(),
            self.run_script().update("failure_reason", "timeout_without_output").exit(-1),
        )

    def test_disk_of_the_worker_full(self) -> Any:
        self.smoke()
        return self.refused(
            "the worker could not write 'layer.tar.gz': [Errno 28] No space left on device",
            disk_full(download("layer.tar.gz", workdir=WORKDIR, text=False)),
        )

    def test_what_an_earlier_one_left_cannot_be_removed(self) -> Any:
        self.smoke()
        return self.refused(
            "the worker cannot unpack the layer: rm: cannot remove 'root': Device or resource busy",
            *self.up_to_script(),
            self.run_script().stderr("rm: cannot remove 'root': Device or resource busy\n").exit(1),
        )

    def test_dynamic_without_a_loader(self) -> Any:
        self.smoke(variant="dynamic")
        return self.refused(
            "bin/busybox of aarch64 is to be dynamic, but names no loader: ''",
        )

    def test_layers_record_is_damaged(self) -> Any:
        self.smoke()
        self.set_properties(layer={"path": "x"})
        return self.refused("not a layer's record: 'digest'")


class Cancelled(SmokeCase):
    def cancelled(self, *commands: Any) -> Any:
        self.interrupt_nth_remote_command(len(commands) - 1)
        self.expect_commands(*commands[:-1], interrupted(commands[-1]))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("smoke")
        self.expect_no_property("problem")
        return self.run_step()

    def test_while_sending(self) -> Any:
        self.smoke()
        return self.cancelled(self.sending())

    def test_while_sending_the_script(self) -> Any:
        self.smoke()
        return self.cancelled(*self.up_to_script())

    def test_while_unpacking(self) -> Any:
        self.smoke()
        return self.cancelled(*self.up_to_script(), self.run_script().exit(-1))

    def test_while_running(self) -> Any:
        self.smoke()
        return self.cancelled(*self.up_to_script(), self.answering(self.run_script()).exit(-1))
