"""Who runs a command."""

from __future__ import annotations

import getpass
import os


def who_asks() -> str:
    """Who runs this, by name where there is one: containers often have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
