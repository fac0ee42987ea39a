"""The model of `signing` in `minios.yaml`: with which key releases are signed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, model_validator

from minios_steps.core.config.base import Model

if TYPE_CHECKING:
    from typing_extensions import Self

# RFC 3986, "Scheme".
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", re.ASCII)


def _uri(value: str) -> str:
    if not _URI.fullmatch(value):
        raise ValueError(f"should be a URI, such as https://ci.example/minios: {value[:80]!r}")
    return value


Uri = Annotated[str, AfterValidator(_uri)]
"""A URI, with its scheme."""


class Signing(Model):
    """With which key releases are signed; without one nothing is.

    `key_secret` names the Buildbot secret that has the private key in PEM; `password_secret`
    the one that has the key's password, where it has one.
    """

    key_secret: str = ""
    password_secret: str = ""

    @model_validator(mode="after")
    def _password_of_a_key(self) -> Self:
        if self.password_secret and not self.key_secret:
            raise ValueError("password_secret goes with key_secret, which is not there")
        return self
