"""What a registry says when it refuses (distribution-spec, "Error Codes")."""

from __future__ import annotations

import json
import re
from typing import Any

from minios_steps.core.errors import MiniosError

ERROR_LIMIT = 64 << 10
"""Bytes of an error's body that are read."""
_SAID_LIMIT = 300
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]")


class RegistryError(MiniosError):
    """A registry cannot be reached, refuses, or does not keep to its protocol.

    Args:
        what: as in `MiniosError`.
        code: the registry's own, such as `DENIED`; empty when it gave none.
        status: of its HTTP answer; 0 when there was none.
        hint: as in `MiniosError`.
        details: as in `MiniosError`.
    """

    def __init__(
        self, what: str, *, code: str = "", status: int = 0, hint: str = "", details: str = ""
    ) -> None:
        super().__init__(what, hint=hint, details=details)
        self.code = code
        self.status = status


def read_error(body: bytes) -> tuple[str, str]:
    """A registry's code and message out of an error's body; empty where it gave none.

    Token servers have other forms: `error` and `error_description` of OAuth 2, or `details`.
    """
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(told, dict):
        return "", ""
    errors = told.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        first = errors[0]
        detail = first.get("detail")
        message = _text(first.get("message"))
        # A detail in words often has the reason, where the message only repeats the code.
        extra = f" ({_text(detail)})" if isinstance(detail, str) and detail and detail != message else ""
        return _text(first.get("code")), message + extra
    message = next((told[key] for key in ("error_description", "message", "details") if told.get(key)), "")
    return _text(told.get("error")), _text(message)


def _text(value: Any) -> str:
    return _UNPRINTABLE.sub("?", value)[:_SAID_LIMIT] if isinstance(value, str) else ""
