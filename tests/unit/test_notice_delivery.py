"""What becomes of notices while nobody takes them."""

from __future__ import annotations

import importlib
from typing import Any

from minios_master.notices.delivery import FIRST_WAIT, LONGEST_WAIT, KeptReporter, UnwantedError
from minios_master.notices.outbox import MOST, Outbox
from minios_master.notices.webhook import SignedWebhook
from noticebed import SECRET, Hook
from reporterbed import ReporterCase
from servebed import serving
from twisted.internet import defer
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.mail.smtp import AUTHDeclinedError, SMTPDeliveryError
from twisted.python import log

from minios_steps.busybox_poller import BAD_RELEASE
from minios_steps.core.errors import MiniosError
from minios_steps.core.web.patience import Patience

IMPATIENT = Patience(2, 2, 10, tries=1, unreachable_tries=1, first_wait=0.001, longest_wait=0.01)


def bad(number: int) -> dict[str, Any]:
    return {"version": f"1.40.{number}", "place": "a place", "reason": "why"}


class Slow(KeptReporter):
    """Delivers when the test says so."""

    async def deliver(self, notices: Any) -> None:
        self.asked.append(notices[0].data["version"])
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            await answer


class DeliveryCase(ReporterCase):
    async def started(self, service: Any) -> Any:
        await service.setServiceParent(self.master)
        if not self.master.running:
            await self.master.startService()
            self.addCleanup(self.master.stopService)
        return service

    async def slow(self, *answers: Any) -> Slow:
        service = Slow(name="slow", generators=[self.generator()])
        service.asked, service.answers = [], list(answers)
        found: Slow = await self.started(service)
        return found

    async def waiting(self) -> int:
        """How many messages wait in the database."""
        number = await self.master.db.state.getObjectId("notices-mail", "minios.Notices")
        return len((await self.master.db.state.getState(number, "told"))["unsent"])


class TestDelivery(DeliveryCase):
    async def test_tried_again_less_and_less_and_in_order(self) -> None:
        failures = [defer.fail(MiniosError("it is away")) for _ in range(9)]
        service = await self.slow(*failures)
        await service._got_event(BAD_RELEASE, bad(1))
        [generator] = service.generators
        await generator.generate(self.master, None, BAD_RELEASE, bad(2))
        waits = [FIRST_WAIT * 2**n for n in range(6)] + [LONGEST_WAIT] * 2
        for wait in waits:
            before = len(service.asked)
            self.reactor.advance(wait - 1)
            assert len(service.asked) == before
            self.reactor.advance(1)
            assert len(service.asked) == before + 1
        self.reactor.advance(LONGEST_WAIT)
        assert service.asked == ["1.40.1"] * 10 + ["1.40.2"]
        assert await self.waiting() == 0

    async def test_nothing_waits_behind_a_message_but_messages(self) -> None:
        first: defer.Deferred[None] = defer.Deferred()
        service = await self.slow(first)
        one = service._got_event(BAD_RELEASE, bad(1))
        # The event is handled, and nobody else is bothered.
        await service._got_event(BAD_RELEASE, bad(2))
        assert service.asked == ["1.40.1"]
        first.callback(None)
        await one
        assert service.asked == ["1.40.1", "1.40.2"]

    async def test_master_that_stops_does_not_wait_for_a_server(self) -> None:
        service = await self.slow(defer.Deferred())
        event = service._got_event(BAD_RELEASE, bad(1))
        await service.disownServiceParent()
        await event
        assert await self.waiting() == 1
        # The next one has it sent.
        again = await self.slow()
        assert again.asked == ["1.40.1"]
        assert await self.waiting() == 0

    async def test_what_is_refused_is_given_up(self) -> None:
        service = await self.slow(defer.fail(UnwantedError("no")))
        for number in (1, 2):
            await service._got_event(BAD_RELEASE, bad(number))
        assert service.asked == ["1.40.1", "1.40.2"]
        assert await self.waiting() == 0

    async def test_storm_while_nobody_takes_anything(self) -> None:
        generator = self.generator()
        for number in range(MOST + 5):
            assert await generator.generate(self.master, None, BAD_RELEASE, bad(number))
        assert await self.waiting() == MOST
        [oldest] = await Outbox("mail").first(self.master)
        assert oldest.data["version"] == "1.40.5"

    async def test_reconfigured_while_it_waits(self) -> None:
        service = await self.slow(defer.fail(MiniosError("it is away")))
        await service._got_event(BAD_RELEASE, bad(1))
        outbox = service.outbox
        await service.reconfigService(generators=[self.generator()])
        # At once, and by the same lock.
        assert service.asked == ["1.40.1", "1.40.1"]
        assert service.generators[0].outbox is outbox
        assert await self.waiting() == 0

    async def test_damaged_memory(self) -> None:
        number = await self.master.db.state.getObjectId("notices-mail", "minios.Notices")
        for damaged in ({"unsent": [{}]}, {"unsent": [[{"event": "x"}]]}, [], {"unsent": 7}):
            await self.master.db.state.setState(number, "told", damaged)
            assert await Outbox("mail").first(self.master) == []
            assert await self.generator().generate(self.master, None, BAD_RELEASE, bad(1))


class TestWebhookAway(DeliveryCase):
    async def test_away_for_a_day_and_over_a_restart(self) -> None:
        manager = serving(Hook())
        hook = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)

        def service() -> SignedWebhook:
            generators = [self.generator()]
            more = {"secret": SECRET, "insecure": True, "patience": IMPATIENT, "generators": generators}
            return SignedWebhook(name="hook", url=hook.url, **more)

        hook.statuses = [503] * 30
        before = await self.started(service())
        for number in (1, 2, 3):
            await before._got_event(BAD_RELEASE, bad(number))
        self.reactor.pump([LONGEST_WAIT] * 24)
        assert hook.told == []
        await before.disownServiceParent()
        hook.statuses = []
        await self.started(service())
        assert [told["data"]["version"] for told in hook.told] == ["1.40.1", "1.40.2", "1.40.3"]
        assert await self.waiting() == 0


class TestMail(DeliveryCase):
    @defer.inlineCallbacks
    def setUp(self) -> Any:
        yield super().setUp()
        # Not when tests are collected: Buildbot's own then make an error of a warning of Twisted's TLS.
        self.module: Any = importlib.import_module("minios_master.notices.mail")

    async def mail(self, *answers: Any) -> Any:
        self.mails: list[str] = []
        left = list(answers)

        def send(_self: Any, message: Any, _recipients: Any) -> Any:
            self.mails.append(str(message["Subject"]))
            return left.pop(0) if left else defer.succeed(None)

        self.patch(self.module.MailNotifier, "sendMail", send)
        config = {"fromaddr": "a@example.org", "extraRecipients": ["b@example.org"]}
        generators = [self.generator()]
        return await self.started(
            self.module.NoticeMail(name="mail", sendToInterestedUsers=False, generators=generators, **config)
        )

    async def test_server_that_is_away(self) -> None:
        service = await self.mail(defer.fail(Refused()))
        await service._got_event(BAD_RELEASE, bad(1))
        assert await self.waiting() == 1
        self.reactor.advance(FIRST_WAIT)
        assert self.mails == ["[minios] BusyBox 1.40.1 at a place is bad and is not built"] * 2
        assert await self.waiting() == 0

    async def test_server_that_says_nothing(self) -> None:
        service = await self.mail(defer.Deferred())
        event = service._got_event(BAD_RELEASE, bad(1))
        self.reactor.advance(self.module.SECONDS)
        await event
        assert await self.waiting() == 1
        self.reactor.advance(FIRST_WAIT)
        assert await self.waiting() == 0

    async def test_log_in_that_is_refused_is_tried_again_and_not_in_the_log(self) -> None:
        lines: list[str] = []
        self.patch(log, "msg", lambda text, **_: lines.append(text))
        service = await self.mail(defer.fail(AUTHDeclinedError(535, b"no", b">>> bXkgcGFzc3dvcmQ=")))
        await service._got_event(BAD_RELEASE, bad(1))
        assert await self.waiting() == 1
        [told] = [line for line in lines if "bad-release" in line]
        assert told.endswith("in 60 s: the mail server says 535")
        assert "bXkgcGFz" not in "".join(lines)
        assert self.flushLoggedErrors() == []

    async def test_mail_that_is_refused(self) -> None:
        answers = [defer.fail(SMTPDeliveryError(code, b"no", b"")) for code in (450, 550)]
        service = await self.mail(*answers)
        await service._got_event(BAD_RELEASE, bad(1))
        assert await self.waiting() == 1
        self.reactor.advance(FIRST_WAIT)
        assert len(self.mails) == 2
        assert await self.waiting() == 0
