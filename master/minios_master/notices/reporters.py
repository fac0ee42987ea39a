"""The services that `notices` in `minios.yaml` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.plugins import util

from .generator import NoticeGenerator
from .missing import MissingWatch
from .webhook import SignedWebhook

if TYPE_CHECKING:
    from minios_steps.core.config.notices import Mail
    from minios_steps.core.config.project import Project


def notice_reporters(project: Project, builder: str, nightly: str = "") -> list[Any]:
    """Services for the master: what knows since when workers are away, and whoever is to be told.

    Args:
        project: the configuration.
        builder: the parent builder.
        nightly: the builder of the nightly.
    """
    roles = project.minios.arches
    notices = project.minios.notices
    found: list[Any] = []
    if notices.mail:
        found.append(_mail(notices.mail, NoticeGenerator("mail", builder, roles, nightly)))
    if notices.webhook:
        found.append(
            SignedWebhook(
                name="notices-webhook",
                url=notices.webhook.url,
                secret=util.Secret(notices.webhook.secret),
                insecure=notices.webhook.insecure,
                generators=[NoticeGenerator("webhook", builder, roles, nightly)],
            )
        )
    return [MissingWatch(), *found]


def _mail(mail: Mail, generator: NoticeGenerator) -> Any:
    from .mail import NoticeMail  # noqa: PLC0415  # Twisted's mail and TLS are loaded for those who want mail

    return NoticeMail(
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
