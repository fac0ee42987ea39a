"""The model of `notices` in `minios.yaml`: who is told when something happens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from minios_steps.core.config.base import Model, Name, Text

_Address = Annotated[str, StringConstraints(pattern=r"^[^@\s,;<>]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]
_Secret = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9_.-]{0,63})?$")]
# Whatever is secret in it would be shown in logs.
_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")]


class Mail(Model):
    """Notices by mail.

    `host` and `port` are of the mail server, `security` is how it is spoken to: `starttls`, `tls`
    from the first byte, or `none`. `secret` is the name of the secret that holds the password of
    `user`.
    """

    sender: Annotated[_Address, Field(alias="from")]
    to: Annotated[tuple[_Address, ...], Field(min_length=1)]
    host: Text = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    security: Literal["none", "starttls", "tls"] = "none"
    user: str = ""
    secret: _Secret = ""


class Webhook(Model):
    """Notices as JSON, posted to `url` and signed with the secret that `secret` names.

    Plain http only when `insecure: true` says so.
    """

    url: _Url
    secret: Name
    insecure: bool = False


class Notices(Model):
    """Who is told of failures, recoveries, missing workers and releases; nobody by default."""

    mail: Mail | None = None
    webhook: Webhook | None = None
