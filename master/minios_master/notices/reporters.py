"""The reporters that `notices` in `minios.yaml` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import reporters, util

from .generator import NoticeGenerator
from .webhook import SignedWebhook

if TYPE_CHECKING:
    from minios_steps.core.config.notices import Mail
    from minios_steps.core.config.project import Project

MISSING_SECONDS = 600
"""How long a worker may be away before it is missing."""


def notice_reporters(project: Project, builder: str) -> list[Any]:
    """Services for the master, none when nobody is to be told.

    Args:
        project: the configuration.
        builder: the parent builder.
    """
    notices = project.minios.notices
    found: list[Any] = []
    if notices.mail:
        found.append(_mail(notices.mail, NoticeGenerator("mail", builder, project.minios.arches)))
    if notices.webhook:
        found.append(
            SignedWebhook(
                name="notices-webhook",
                url=notices.webhook.url,
                secret=util.Secret(notices.webhook.secret),
                insecure=notices.webhook.insecure,
                generators=[NoticeGenerator("webhook", builder, project.minios.arches)],
            )
        )
    return found


def missing_options(project: Project) -> dict[str, Any]:
    """Arguments for a remote worker, so that people are told when it stays away."""
    notices = project.minios.notices
    if not (notices.mail or notices.webhook):
        return {}
    # Buildbot makes no event of a worker of which nobody is to be told; who it is, the reporters know.
    return {"notify_on_missing": ["notices"], "missing_timeout": MISSING_SECONDS}


def _mail(mail: Mail, generator: NoticeGenerator) -> Any:
    return reporters.MailNotifier(
        name="notices-mail",
        fromaddr=mail.sender,
        extraRecipients=list(mail.to),
        sendToInterestedUsers=False,
        relayhost=mail.host,
        smtpPort=mail.port,
        useTls=mail.security == "starttls",
        useSmtps=mail.security == "tls",
        smtpUser=mail.user or None,
        smtpPassword=util.Secret(mail.secret) if mail.secret else None,
        generators=[generator],
    )
