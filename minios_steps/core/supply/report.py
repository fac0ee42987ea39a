"""What a verification found: one line for each thing that was checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from minios_steps.core.errors import ElfError, ImageError, UnsafeArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = Literal["good", "bad", "missing", "unchecked"]


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        of: `index`, or an image's platform.
        what: what was checked.
        outcome: `good`; `bad`: it is there and wrong; `missing`: it is not there;
            `unchecked`: there is no key to check it with.
        detail: one line: what was found.
    """

    of: str
    what: str
    outcome: Outcome
    detail: str = ""

    def as_json(self) -> dict[str, str]:
        """A mapping of texts."""
        return {"of": self.of, "what": self.what, "outcome": self.outcome, "detail": self.detail}


def attempt(of: str, what: str, work: Callable[[], str]) -> Check:
    """A check that is good when `work` gives its detail, and bad when it finds damage.

    Args:
        of: as in `Check`.
        what: as in `Check`.
        work: raises `ImageError`, `ElfError` or `UnsafeArchiveError` for what is wrong; all
            other errors are the caller's.
    """
    try:
        return Check(of, what, "good", work())
    except (ImageError, ElfError, UnsafeArchiveError) as error:
        return Check(of, what, "bad", error.what)


@dataclass(frozen=True)
class VerifyReport:
    """What was found out about a release.

    Args:
        reference: the release, as it was asked for.
        digest: its index's.
        checks: in the order they were made.
    """

    reference: str
    digest: str
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is bad or missing."""
        return not self.faults

    @property
    def faults(self) -> tuple[Check, ...]:
        """What is bad or missing."""
        return tuple(check for check in self.checks if check.outcome in ("bad", "missing"))

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "good": self.good,
            "checks": [check.as_json() for check in self.checks],
        }
