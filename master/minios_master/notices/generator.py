"""`NoticeGenerator`: Buildbot's events as notices, for any reporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot import interfaces, util
from buildbot.process.results import CANCELLED, RETRY
from zope.interface import implementer

from minios_master.notices import events
from minios_master.notices.missing import MISSING
from minios_master.notices.night import nightly_ended
from minios_master.notices.outbox import Outbox
from minios_master.remote.losses import PAUSED
from minios_steps.busybox_poller import BAD_RELEASE, CATEGORY

if TYPE_CHECKING:
    from collections.abc import Mapping


@implementer(interfaces.IReportGenerator)
class NoticeGenerator(util.ComparableMixin):  # type: ignore[misc]
    """Makes reports of `events.Notice`, which stand under `notices` in the report.

    Args:
        channel: the name of its `Outbox`, where what was told is kept, such as `mail`.
        builder: the parent builder.
        roles: the role of each arch that has one.
        nightly: the builder of the nightly, of which people get the report and nothing else.
    """

    compare_attrs = ("channel", "builder", "roles", "nightly")
    wanted_event_keys = (
        ("builds", None, "finished"),
        MISSING,
        PAUSED,
        ("workers", None, "connected"),
        ("changes", None, "new"),
        BAD_RELEASE,
    )

    def __init__(self, channel: str, builder: str, roles: Mapping[str, str], nightly: str = "") -> None:
        self.channel = channel
        self.builder = builder
        self.nightly = nightly
        self.roles = dict(roles)
        self.outbox = Outbox(channel)

    def check(self) -> None:
        """Nothing can be wrong: the configuration was checked when it was read."""

    def generate_name(self) -> str:
        """A name for a reporter that has none."""
        return f"notices-{self.channel}"

    async def generate(self, master: Any, reporter: Any, key: Any, message: Any) -> Any:  # noqa: ARG002
        """A report of what people have to be told about an event; None when there is nothing."""
        notices = await self.outbox.add(master, lambda told: self._judge(master, told, tuple(key), message))
        return report_of(notices) if notices else None

    async def _judge(self, master: Any, told: events.Told, key: Any, message: Any) -> events.Judged:
        if key == BAD_RELEASE:
            return events.release_bad(told, message["version"], message["place"], message["reason"])
        if key[0] == "changes":
            if message["category"] != CATEGORY:
                return told, []
            properties = {name: pair[0] for name, pair in message["properties"].items()}
            return events.release_found(told, message["revision"], message["comments"], properties)
        if key[0] == "workers" or key in (MISSING, PAUSED):
            return _worker(told, key, message, str(int(master.reactor.seconds())))
        return await self._build(master, told, message)

    async def _build(self, master: Any, told: events.Told, build: Any) -> events.Judged:
        builder = await master.data.get(("builders", build["builderid"]))
        if builder["name"] not in (self.builder, self.nightly) or build["results"] in (CANCELLED, RETRY):
            return told, []
        properties = await master.data.get(("builds", build["buildid"], "properties"))
        said = {name: value for name, (value, _source) in properties.items()}
        url = f"{master.config.buildbotURL}#/builders/{build['builderid']}/builds/{build['number']}"
        problem = str(said.get("problem") or build["state_string"])
        judge = events.matrix_ended if builder["name"] == self.builder else nightly_ended
        return judge(told, url, said, problem, lambda arch: self.roles.get(arch, "candidate"))


def _worker(told: events.Told, key: Any, message: Any, when: str) -> events.Judged:
    if key == MISSING:
        return events.worker_missing(told, message["name"], message["since"])
    if key == PAUSED:
        return events.worker_paused(told, message["name"], message["reason"], when)
    return events.worker_connected(told, message["name"], when)


def report_of(notices: list[events.Notice]) -> dict[str, Any]:
    """What Buildbot's reporters take: one message for all that one event brings."""
    more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
    return {
        "body": "\n".join(notice.text for notice in notices),
        "subject": f"[minios] {notices[0].subject}{more}",
        "type": "plain",
        "results": None,
        "builds": None,
        "buildset": None,
        "users": [],
        "patches": None,
        "logs": None,
        "notices": notices,
    }
