"""BusyBox versions: three numbers, compared as numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from minios_steps.core.errors import ConfigError

# Python itself refuses numbers of thousands of digits, with another error.
_NUMBER = r"(0|[1-9]\d{0,8})"
_FORM = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)


@dataclass(frozen=True, order=True)
class Version:
    """A release such as 1.38.0; ordered as numbers, so 1.9.0 < 1.10.0."""

    major: int
    minor_number: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read `1.38.0`; raises `ConfigError` on anything else."""
        match = _FORM.fullmatch(text)
        if not match:
            raise ConfigError(f"not a BusyBox version: {text!r}", hint="write three numbers, such as 1.38.0")
        return cls(*(int(part) for part in match.groups()))

    @property
    def minor(self) -> str:
        """The first two numbers: `1.38`."""
        return f"{self.major}.{self.minor_number}"

    def __str__(self) -> str:
        return f"{self.minor}.{self.patch}"
