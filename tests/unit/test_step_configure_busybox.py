"""`ConfigureBusyBox`: what was asked for stuck, or the step says what did not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archbed import make_arch
from buildbot.process.properties import Property, renderer
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from stepbed import (
    StepCase,
    disk_full,
    download,
    interrupted,
    no_such_file,
    shell,
    upload,
    upload_text,
)

from minios_steps.configure_busybox import CONFIG_LIMIT, ConfigureBusyBox
from minios_steps.core.kbuild import KbuildRules
from minios_steps.core.kconfig import Fragment
from minios_steps.core.make import configure_command

BASE = "CONFIG_ASH=y\n# CONFIG_STATIC is not set\nCONFIG_TC=y\n"
ASKED = (
    Fragment("kconfig/base.config", "CONFIG_TC=y\nCONFIG_ASH=y\n"),
    Fragment("kconfig/static.config", "CONFIG_STATIC=y\n# CONFIG_TC is not set\n"),
)
SEED = "CONFIG_ASH=y\nCONFIG_STATIC=y\n# CONFIG_TC is not set\n"
RESULT = f"# written by kconfig\n{SEED}CONFIG_LS=y\n"


def make(arch: str, base: str = "") -> Any:
    return shell(list(configure_command(arch, base)), env={"KCONFIG_NOTIMESTAMP": "1"})


def oldconfig(arch: str = "aarch64") -> Any:
    return make(arch)


def allnoconfig(arch: str = "aarch64") -> Any:
    return make(arch, "allnoconfig")


def seeded(sent: list[bytes] | None = None) -> Any:
    return download(".config", text=True, into=(sent if sent is not None else []).append)


@renderer
def first_fragment(_properties: Any) -> Any:
    return ASKED[:1]


class Configuring(StepCase):
    def configure(self, **kwargs: Any) -> None:
        options = {"arch": make_arch(), "fragments": ASKED, **kwargs}
        self.setup_step(ConfigureBusyBox(work_root=self.folder / "work", **options))

    def expect_config(self, text: str, sent: list[bytes] | None = None) -> None:
        self.expect_commands(
            seeded(sent), oldconfig().exit(0), upload_text(".config", text, limit=CONFIG_LIMIT)
        )

    @property
    def kept(self) -> str:
        return (Path(self.property("cell_dir")) / "dot.config").read_text("utf-8")

    async def test_all_stuck(self) -> None:
        sent: list[bytes] = []
        self.configure()
        self.expect_config(RESULT, sent)
        self.expect_outcome(SUCCESS, "3 symbols on, all 3 asked-for stuck")
        self.expect_log_file(".config", RESULT)
        self.expect_property("objects", 0, "configure")
        await self.run_step()
        assert sent == [SEED.encode()]
        assert self.kept == RESULT
        assert self.get_nth_step(0).getStatistic("symbols") == 3

    def test_files_to_compile_are_counted(self) -> Any:
        rules = self.folder / "rules.json"
        lines = ("lib-y := a.o b.o", "lib-$(CONFIG_TC) += tc.o", "lib-$(CONFIG_LS) += ls.o")
        rules.write_text(KbuildRules({"lib": lines}, frozenset()).to_json(), "utf-8")
        self.configure()
        self.set_properties(kbuild_rules=str(rules))
        self.expect_config(RESULT)
        self.expect_outcome(SUCCESS, "3 symbols on, all 3 asked-for stuck, 3 files to compile")
        self.expect_property("objects", 3, "configure")
        return self.run_step()

    def test_damaged_rules(self) -> Any:
        rules = self.folder / "rules.json"
        rules.write_text("{}", "utf-8")
        self.configure()
        self.set_properties(kbuild_rules=str(rules))
        self.expect_config(RESULT)
        self.expect_outcome(FAILURE, "the prepared source's kbuild rules are damaged")
        return self.run_step()

    def test_renderables(self) -> Any:
        self.configure(fragments=first_fragment, base=Property("base"), arch=make_arch(make_arch="arm64"))
        self.set_properties(base="allnoconfig")
        self.expect_commands(
            allnoconfig("arm64").exit(0),
            upload_text(".config", BASE, limit=CONFIG_LIMIT),
            seeded(),
            oldconfig("arm64").exit(0),
            upload_text(".config", BASE, limit=CONFIG_LIMIT),
        )
        self.expect_outcome(SUCCESS, "2 symbols on, all 2 asked-for stuck")
        return self.run_step()

    async def test_scratch_of_an_earlier_build_is_emptied(self) -> None:
        stale = self.folder / "work" / "Builder-linux" / "layer.tar.gz"
        stale.parent.mkdir(parents=True)
        stale.write_bytes(b"stale")
        self.configure()
        self.set_properties(workername="linux")
        self.expect_config(RESULT)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert [path.name for path in stale.parent.iterdir()] == ["dot.config"]

    async def test_symbol_did_not_stick(self) -> None:
        self.configure()
        self.expect_config(RESULT.replace("CONFIG_STATIC=y", "# CONFIG_STATIC is not set"))
        what = "CONFIG_STATIC did not stick: asked for y, got n (kconfig/static.config:1)"
        self.expect_outcome(FAILURE, what)
        self.expect_property("certain", True, "configure")
        self.expect_no_property("objects")
        await self.run_step()
        assert self.property("problem").startswith(what)
        # The file is kept all the same, for whoever looks into it.
        assert "# CONFIG_STATIC is not set" in self.kept

    def test_symbol_is_unknown(self) -> Any:
        self.configure(fragments=(Fragment("kconfig/x.config", "CONFIG_STATICS=y\n"),))
        self.expect_config(RESULT)
        self.expect_outcome(
            FAILURE,
            "CONFIG_STATICS does not exist in this release, did you mean CONFIG_STATIC? (kconfig/x.config:1)",
        )
        return self.run_step()

    def test_several_symbols(self) -> Any:
        self.configure(fragments=(Fragment("f", "CONFIG_TC=y\nCONFIG_NONE=y\n"),))
        self.expect_config(RESULT)
        first = "CONFIG_NONE does not exist in this release (f:2)"
        self.expect_outcome(FAILURE, f"{first}; also CONFIG_TC")
        return self.run_step()

    def test_malformed_fragment(self) -> Any:
        self.configure(fragments=(Fragment("kconfig/x.config", "\nTC=y\n"),))
        self.expect_outcome(FAILURE, "kconfig/x.config:2: not a setting: 'TC=y'")
        return self.run_step()

    def test_unknown_base(self) -> Any:
        self.configure(base="randconfig")
        self.expect_outcome(FAILURE, "unknown kconfig base 'randconfig': there is defconfig, allnoconfig")
        return self.run_step()

    async def test_allnoconfig_is_changed_by_what_was_asked_for(self) -> None:
        sent: list[bytes] = []
        self.configure(base="allnoconfig")
        self.expect_commands(
            allnoconfig().exit(0),
            upload_text(".config", "# CONFIG_ASH is not set\n# CONFIG_LS is not set\n", limit=CONFIG_LIMIT),
            seeded(sent),
            oldconfig().exit(0),
            upload_text(".config", RESULT, limit=CONFIG_LIMIT),
        )
        self.expect_outcome(SUCCESS)
        await self.run_step()
        changed = b"CONFIG_ASH=y\n# CONFIG_LS is not set\nCONFIG_STATIC=y\n# CONFIG_TC is not set\n"
        assert sent == [changed]

    def test_allnoconfig_fails(self) -> Any:
        self.configure(base="allnoconfig")
        self.expect_commands(allnoconfig().stderr("make: *** No rule to make target\n").exit(2))
        self.expect_outcome(
            FAILURE, "make allnoconfig failed on the worker: make: *** No rule to make target"
        )
        return self.run_step()

    def test_oldconfig_fails(self) -> Any:
        self.configure()
        self.expect_commands(seeded(), oldconfig().stderr("make: *** No rule to make target\n").exit(2))
        self.expect_outcome(FAILURE, "make oldconfig failed on the worker: make: *** No rule to make target")
        self.expect_no_property("certain")
        return self.run_step()

    def test_no_config_comes_back(self) -> Any:
        self.configure()
        self.expect_commands(
            seeded(),
            oldconfig().exit(0),
            no_such_file(upload(".config", limit=CONFIG_LIMIT, text=True), "/w/.config"),
        )
        self.expect_outcome(
            FAILURE, "the worker could not send '.config': Cannot open file '/w/.config' for upload"
        )
        return self.run_step()

    async def test_far_too_large(self) -> None:
        self.configure()
        self.expect_config("#" * (CONFIG_LIMIT + 1))
        self.expect_outcome(FAILURE, "'.config' from the worker: larger than the 1,048,576 bytes allowed")
        await self.run_step()
        assert not (self.folder / "work").exists()

    def test_disk_of_the_worker_full(self) -> Any:
        self.configure()
        self.expect_commands(disk_full(download(".config", text=True)))
        self.expect_outcome(
            FAILURE,
            "the worker could not write '.config': [Errno 28] No space left on device",
        )
        return self.run_step()

    async def cancelled(self, number: int, *commands: Any) -> None:
        self.configure()
        self.interrupt_nth_remote_command(number)
        self.expect_commands(*commands[:-1], interrupted(commands[-1]))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("objects")
        self.expect_no_property("problem")
        await self.run_step()
        assert not (self.folder / "work").exists()

    async def test_cancelled_in_oldconfig(self) -> None:
        await self.cancelled(1, seeded(), oldconfig().exit(-1))

    async def test_cancelled_in_the_last_upload(self) -> None:
        last = upload(".config", limit=CONFIG_LIMIT, text=True).upload_string("CONFIG_").exit(1)
        await self.cancelled(2, seeded(), oldconfig().exit(0), last)
