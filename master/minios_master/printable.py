"""Texts that come from a worker, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line and without control characters: a compiler's message can hold any byte."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)
