from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from buildbot.db.model import Model
from buildbot.plugins import changes
from buildbot.test import fakedb
from buildbot.test.reactor import TestReactorMixin
from buildbot.test.util.changesource import ChangeSourceMixin
from configbed import write_config
from stepbed import make_tables
from twisted.internet import defer
from twisted.trial import unittest
from upstreambed import IMPATIENT, made_up_key, small_release, upstream

from minios_steps.busybox_poller import BAD_RELEASE, CATEGORY, BusyBoxPoller
from minios_steps.core.config.load import load_project
from minios_steps.core.digest import Digest
from minios_steps.core.errors import MiniosError
from minios_steps.core.upstream.discoveries import Discoveries

PATCH = "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-BusyBox 1.40.0, made up\n+patched\n"


class PollerCase(ChangeSourceMixin, TestReactorMixin, unittest.TestCase):
    """A poller on a fake master, a made-up upstream and a made-up key. 1.35.0 and 1.38.0 are pinned."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.folder = Path(tempfile.mkdtemp(prefix="minios-poller-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        yield self.setUpChangeSource()
        for manager in (server := upstream(), key := made_up_key(self.folder / "key")):
            self.addCleanup(manager.__exit__, None, None, None)
        self.server, self.key = server.__enter__(), key.__enter__()
        config = write_config(self.folder / "config")
        (config / "keys").mkdir()
        (config / "keys" / "test.asc").write_bytes(self.key.public)
        (config / "patches" / "fits.patch").write_text(PATCH, "utf-8")
        (config / "patches" / "stale.patch").write_text(PATCH.replace("1.40.0", "1.2.3"), "utf-8")
        text = (config / "sources.yaml").read_text("utf-8")
        patches = "    epoch: 1700000000\n    patches: [fits.patch, stale.patch]\n"
        (config / "sources.yaml").write_text(text.replace("    epoch: 1700000000\n", patches), "utf-8")
        self.bad: list[Any] = []
        self.patch(self.master.mq, "produce", lambda key, told: self.bad.append((key, told)))
        yield self.attachChangeSource(BusyBoxPoller(**self.arguments()))
        yield self.startChangeSource()

    def arguments(self, **upstream_config: Any) -> dict[str, Any]:
        project = load_project(self.folder / "config")
        key = {"file": "test.asc", "fingerprint": self.key.fingerprint}
        watch = [{"kind": "listing", "url": self.server.url, "insecure": True}]
        told = {"watch": watch, "keys": [key], **upstream_config}
        return {
            "name": self.DEFAULT_NAME,
            "upstream": type(project.minios.upstream).model_validate(told),
            "sources": project.sources,
            "config_root": project.root,
            "cache": self.folder / "cache",
            "discoveries": self.folder / "discovered.json",
            "patience": IMPATIENT,
        }

    def publish(self, version: str) -> bytes:
        tarball = small_release(version)
        self.server.publish(version, tarball, self.key.sign(tarball))
        return tarball

    @property
    def added(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.master.data.updates.changesAdded
        return found

    @property
    def versions(self) -> list[str]:
        return [change["revision"] for change in self.added]


class TestPoller(PollerCase):
    async def test_change_says_it_all(self) -> None:
        tarball = self.publish("1.40.0")
        await self.changesource.poll()
        [change] = self.added
        assert change["category"] == CATEGORY
        assert change["revision"] == "1.40.0"
        sha256 = Digest.of(tarball).hex
        said = change["properties"]
        assert said["versions"] == ["1.40.0"]
        assert said["upstream_sha256"] == sha256
        assert said["upstream_fingerprint"] == self.key.fingerprint
        assert said["upstream_url"] == f"{self.server.url}busybox-1.40.0.tar.bz2"
        [refused] = said["upstream_refused_patches"]
        assert refused.startswith("stale.patch does not apply: ")
        assert change["comments"].startswith("BusyBox 1.40.0 (unstable) is out\n")
        assert refused in change["comments"]
        # Builds know what to build, and have it.
        found = Discoveries(self.folder / "discovered.json").read()["1.40.0"]
        assert (found.sha256, found.patches, found.epoch) == (sha256, ("fits.patch",), 1_700_000_000)
        assert (self.folder / "cache" / "sources" / "sha256" / sha256).read_bytes() == tarball

    async def test_once_across_restarts(self) -> None:
        self.publish("1.39.0")
        await self.changesource.poll()
        await self.stopChangeSource()
        await self.changesource.disownServiceParent()
        await self.attachChangeSource(BusyBoxPoller(**self.arguments()))
        await self.startChangeSource()
        await self.changesource.poll()
        self.publish("1.40.0")
        await self.changesource.poll()
        await self.changesource.poll()
        assert self.versions == ["1.39.0", "1.40.0"]

    async def test_master_that_died_before_it_remembered(self) -> None:
        self.publish("1.39.0")
        row = fakedb.Change(changeid=1, revision="1.39.0", category=CATEGORY, sourcestampid=7)
        await self.master.db.insert_test_data([fakedb.SourceStamp(id=7), row])
        await self.changesource.poll()
        assert self.added == []

    async def test_bad_release_is_told_and_no_change(self) -> None:
        self.publish("1.39.0")
        self.server.files["busybox-1.39.0.tar.bz2.sig"] = self.key.sign(b"else")
        await self.changesource.poll()
        await self.changesource.poll()
        assert self.added == []
        [(event, told)] = self.bad
        assert event == BAD_RELEASE
        assert told["version"] == "1.39.0"
        assert told["reason"] == "the signature is not of this file"
        assert not (self.folder / "discovered.json").exists()

    async def test_signed_but_not_what_it_says(self) -> None:
        """A good signature of another release's tarball: the mirror gave an old file a new name."""
        tarball = small_release("1.2.3")
        self.server.publish("1.39.0", tarball, self.key.sign(tarball))
        await self.changesource.poll()
        assert self.added == []
        [(_, told)] = self.bad
        assert "busybox-1.39.0" in told["reason"]

    async def test_upstream_is_down(self) -> None:
        self.server.down = True
        await self.changesource.poll()
        assert self.added == self.bad == []

    async def test_stopped_in_the_middle(self) -> None:
        self.publish("1.39.0")
        self.changesource._stopped.set()
        await self.changesource.poll()
        assert self.added == []
        self.changesource._stopped.clear()
        await self.changesource.poll()
        assert self.versions == ["1.39.0"]

    async def test_damaged_discoveries(self) -> None:
        self.publish("1.39.0")
        (self.folder / "discovered.json").write_text("{", "utf-8")
        await self.changesource.poll()
        assert self.added == []
        (self.folder / "discovered.json").unlink()
        await self.changesource.poll()
        assert self.versions == ["1.39.0"]

    async def test_discoveries_that_were_removed_are_found_again(self) -> None:
        """As the error about a damaged file says; and nothing is announced a second time."""
        self.publish("1.39.0")
        await self.changesource.poll()
        (self.folder / "discovered.json").unlink()
        await self.changesource.poll()
        assert list(Discoveries(self.folder / "discovered.json").read()) == ["1.39.0"]
        assert self.versions == ["1.39.0"]

    async def test_release_that_cannot_be_taken_holds_up_no_other(self) -> None:
        large = small_release("1.39.0", files={"README": "x" * 5000})
        self.server.publish("1.39.0", large, self.key.sign(large))
        self.publish("1.40.0")
        few = self.changesource.sources.model_copy(update={"max_unpacked": 4096})
        self.changesource.sources = few
        await self.changesource.poll()
        await self.changesource.poll()
        assert self.versions == ["1.40.0"]

    async def test_bad_release_is_told_before_it_is_remembered(self) -> None:
        """A master that dies in between must not have kept it to itself."""
        self.publish("1.39.0")
        self.server.files["busybox-1.39.0.tar.bz2.sig"] = self.key.sign(b"else")

        async def die(_memory: object) -> None:
            raise MiniosError("the master died")

        self.patch(self.changesource, "_remember", die)
        await self.changesource.poll()
        assert [event for event, _ in self.bad] == [BAD_RELEASE]

    async def test_nothing_is_announced_before_the_schedulers_listen(self) -> None:
        self.publish("1.39.0")
        mine = self.master.masterid
        await self.master.db.masters.setMasterState(mine, active=False)
        await self.changesource.poll()
        assert self.versions == []
        await self.master.db.masters.setMasterState(mine, active=True)
        self.reactor.advance(0.5)
        assert self.versions == ["1.39.0"]

    async def test_reconfigured_while_running(self) -> None:
        self.publish("1.39.0")
        assert self.changesource.pollInterval == 6 * 3600
        await self.changesource.reconfigServiceWithSibling(
            BusyBoxPoller(**self.arguments(accept="stable", interval=60))
        )
        assert self.changesource.pollInterval == 60
        await self.changesource.poll()
        assert self.added == []
        assert self.changesource.describe() == "BusyBoxPoller watching 1 places"

    async def test_other_interval_does_not_wait_for_a_look_that_runs(self) -> None:
        running = self.changesource._stopped
        await self.changesource.reconfigServiceWithSibling(BusyBoxPoller(**self.arguments(accept="stable")))
        assert self.changesource._stopped is running
        assert not running.is_set()
        await self.changesource.reconfigServiceWithSibling(BusyBoxPoller(**self.arguments(interval=60)))
        assert running.is_set()
        assert not self.changesource._stopped.is_set()

    async def test_other_mirror_while_running(self) -> None:
        """It is asked at the next look, and what was announced is not announced by it again."""
        self.publish("1.39.0")
        await self.changesource.poll()
        asked = len(self.server.asked)
        with upstream() as other:
            watch = [{"kind": "listing", "url": other.url, "insecure": True}]
            await self.changesource.reconfigServiceWithSibling(BusyBoxPoller(**self.arguments(watch=watch)))
            other.files.update(self.server.files)
            await self.changesource.poll()
            assert self.versions == ["1.39.0"]
            tarball = small_release("1.40.0")
            other.publish("1.40.0", tarball, self.key.sign(tarball))
            await self.changesource.poll()
        assert self.versions == ["1.39.0", "1.40.0"]
        assert len(self.server.asked) == asked

    def test_plugin(self) -> None:
        assert changes.BusyBoxPoller is BusyBoxPoller
