"""The one exception family that is shown to people."""

from __future__ import annotations


class MiniosError(Exception):
    """Something a person can fix.

    Args:
        what: one line: what was expected, what was found, where.
        hint: what to do next, one line; empty when `what` says it.
        details: further lines for the log, never needed to understand `what`.
    """

    certain = False
    """Whether it follows from a cell's inputs alone, so that any machine would come to it again."""

    def __init__(self, what: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.what} ({self.hint})" if self.hint else self.what


class ConfigError(MiniosError):
    """The configuration is wrong. `what` starts with `FILE:LINE: KEY:` where these are known."""


class SourceError(MiniosError):
    """A release's source could not be had, or is not what was pinned."""


class UnsafeArchiveError(MiniosError):
    """An archive holds something that must not be unpacked."""


class KconfigError(MiniosError):
    """A kconfig symbol that was asked for does not exist or did not stick."""

    certain = True


class CompileError(MiniosError):
    """The compiler finds the source wrong, or the linker misses what no part of it defines."""

    certain = True


class ElfError(MiniosError):
    """A file is not an ELF program for the expected machine."""

    certain = True


class RootfsError(MiniosError):
    """The root file system cannot be staged: a missing loader or library, a forbidden entry."""


class ImageError(MiniosError):
    """An OCI image, index or layout is malformed, or does not match its digest."""


class PolicyError(MiniosError):
    """The release policy forbids what was asked."""


class TagMovedError(ImageError):
    """Somebody else moved a tag while a release was on its way to it."""


class NonReproducibleError(ImageError):
    """Another build from the same inputs gave other bytes."""
