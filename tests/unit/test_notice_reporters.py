"""Which builds are told of, once, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import CANCELLED, FAILURE
from configbed import MINIOS, write_config
from masterbed import cell, release
from minios_master.notices.missing import MISSING, MissingWatch
from minios_master.notices.reporters import notice_reporters
from minios_master.notices.webhook import SignedWebhook
from minios_master.remote.losses import PAUSED
from nightlybed import FIRST, Nights, bad
from noticebed import SECRET, Hook
from reporterbed import ReporterCase
from servebed import serving
from twisted.internet import defer

from minios_steps.busybox_poller import BAD_RELEASE, CATEGORY
from minios_steps.core.config.load import load_project
from minios_steps.core.web.patience import Patience

if TYPE_CHECKING:
    from pathlib import Path

MAIL = "  mail: {from: a@example.org, to: [b@example.org], host: mail.example.org, security: starttls}\n"
HOOK = "  webhook: {url: 'https://example.org/hook', secret: hook-key}\n"
BAD = {"version": "1.40.0", "place": "a place", "reason": "why"}


class TestGenerator(ReporterCase):
    async def test_once_and_across_restarts(self) -> None:
        broken = [cell("x86_64", "failed")]
        report = await self.finish(self.generator(), cells=broken)
        assert report["subject"] == "[minios] x86_64 1.38.0 static: failed"
        assert report["body"].endswith(f"{self.master.config.buildbotURL}#/builders/1/builds/1\n")
        assert report["type"] == "plain"
        # Another master, or the same later: it is in the database.
        assert await self.finish(self.generator(), cells=broken) is None
        report = await self.finish(self.generator(), cells=[cell("x86_64")])
        assert [notice.event for notice in report["notices"]] == ["recovery"]

    async def test_each_channel_is_told(self) -> None:
        for channel in ("mail", "webhook"):
            assert await self.finish(self.generator(channel), cells=[cell("x86_64", "failed")])

    async def test_only_the_matrix_and_nothing_cancelled(self) -> None:
        broken = [cell("x86_64", "failed")]
        assert await self.finish(self.generator(), builder=2, cells=broken) is None
        assert await self.finish(self.generator(), results=CANCELLED, cells=broken) is None

    async def test_nightly_is_one_message_and_the_matrix_after_it_none(self) -> None:
        night = Nights().night(FIRST, bad())
        broken = [cell("x86_64", "failed"), cell("aarch64", "failed")]
        report = await self.finish(
            self.generator(), builder=3, cells=broken, nightly_report=night.as_json(), releases=[release()]
        )
        [notice] = report["notices"]
        assert notice.event == "nightly-report"
        assert notice.subject == "nightly of 2026-01-01 02:30 UTC: 1 failed"
        assert "  x86_64 1.38.0 static, since 2026-01-01 02:30 UTC: compile failed" in notice.text
        assert notice.data["verdict"] == "failed"
        assert report["subject"] == f"[minios] {notice.subject}"
        # What it told is not told again, and what gets better is.
        assert await self.finish(self.generator(), cells=broken, releases=[release()]) is None
        report = await self.finish(self.generator(), cells=[cell("x86_64"), cell("aarch64")])
        assert [notice.event for notice in report["notices"]] == ["recovery"]
        # The same a night later is another message.
        again = await self.finish(self.generator(), builder=3, cells=broken, nightly_report=night.as_json())
        assert again["notices"][0].identity != notice.identity

    async def test_nightly_without_a_report_is_a_failure(self) -> None:
        report = await self.finish(self.generator(), builder=3, results=FAILURE)
        assert [notice.event for notice in report["notices"]] == ["first-failure"]
        assert await self.finish(self.generator(), builder=3, results=CANCELLED) is None

    async def test_build_without_an_outcome(self) -> None:
        report = await self.finish(self.generator(), results=FAILURE)
        assert "the matrix itself: it broke" in report["body"]
        assert await self.finish(self.generator(), results=FAILURE, problem="other words") is None

    async def test_two_at_once_are_told_once(self) -> None:
        generator = self.generator()
        reports = await defer.gatherResults(
            [defer.ensureDeferred(generator.generate(self.master, None, BAD_RELEASE, BAD)) for _ in range(5)]
        )
        assert sum(report is not None for report in reports) == 1

    async def test_changes(self) -> None:
        generator = self.generator()
        change = {"category": CATEGORY, "revision": "1.40.0", "comments": "It is out", "properties": {}}
        other = {**change, "category": None}
        assert await generator.generate(self.master, None, ("changes", "1", "new"), other) is None
        change["properties"] = {"versions": (["1.40.0"], "Change")}
        report = await generator.generate(self.master, None, ("changes", "2", "new"), change)
        [notice] = report["notices"]
        assert notice.data == {"version": "1.40.0", "versions": ["1.40.0"]}

    async def test_workers(self) -> None:
        generator = self.generator()
        worker = {"name": "one", "since": "Monday", "reason": "it hung"}
        connected = ("workers", "1", "connected")
        found = []
        for event in (connected, MISSING, MISSING, connected, PAUSED):
            report = await generator.generate(self.master, None, event, worker)
            found.append([notice.event for notice in report["notices"]] if report else [])
        assert found == [[], ["missing-worker"], [], ["worker-back"], ["worker-paused"]]

    def test_equal_ones_need_no_reconfiguration(self) -> None:
        assert self.generator() == self.generator()
        assert self.generator() != self.generator("webhook")
        assert self.generator().generate_name() == "notices-mail"
        self.generator().check()


class TestWebhook(ReporterCase):
    @defer.inlineCallbacks
    def setUp(self) -> Any:
        yield super().setUp()
        manager = serving(Hook())
        self.hook = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)

    async def start(self, **more: Any) -> SignedWebhook:
        patience = Patience(2, 2, 10, tries=2, unreachable_tries=1, first_wait=0.001, longest_wait=0.01)
        service = SignedWebhook(
            name="hook",
            url=self.hook.url,
            generators=[self.generator()],
            patience=patience,
            **{"secret": SECRET, "insecure": True, **more},
        )
        await service.setServiceParent(self.master)
        await self.master.startService()
        self.addCleanup(self.master.stopService)
        return service

    async def test_event_arrives_signed(self) -> None:
        service = await self.start()
        for _ in range(2):
            await service._got_event(BAD_RELEASE, BAD)
        [told] = self.hook.told
        assert told["event"] == "bad-release"
        assert told["data"] == BAD
        assert told["text"].startswith(told["subject"])

    async def test_what_is_not_taken_is_logged_and_forgotten(self) -> None:
        service = await self.start(secret="another")
        await service._got_event(BAD_RELEASE, BAD)
        assert len(self.hook.deliveries) == 1
        assert self.hook.told == []
        # An exception would be left for trial to find.
        assert self.flushLoggedErrors() == []


def configured(folder: Path, notices: str) -> Any:
    text = MINIOS + (f"notices:\n{notices}" if notices else "")
    return load_project(write_config(folder, {"minios.yaml": text}))


class TestConfigured:
    def test_nobody_by_default(self, tmp_path: Path) -> None:
        [watch] = notice_reporters(configured(tmp_path, ""), "matrix")
        # The nightly's report has to know since when workers are away.
        assert isinstance(watch, MissingWatch)

    def test_both(self, tmp_path: Path) -> None:
        project = configured(tmp_path, MAIL + HOOK)
        watch, mail, hook = notice_reporters(project, "matrix")
        assert isinstance(watch, MissingWatch)
        assert (mail.name, hook.name) == ("notices-mail", "notices-webhook")
        said = mail._config_kwargs
        assert (said["fromaddr"], said["extraRecipients"]) == ("a@example.org", ["b@example.org"])
        assert (said["useTls"], said["useSmtps"], said["smtpPassword"]) == (True, False, None)
        assert hook._config_kwargs["secret"].secret_name == "hook-key"
        assert [g.channel for s in (mail, hook) for g in s._config_kwargs["generators"]] == [
            "mail",
            "webhook",
        ]
