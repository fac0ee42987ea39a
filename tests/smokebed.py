"""The answers of a smoke test that the image passes, or fails as a test wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minios_steps.core.smoke_checks import SmokeCheck


def answers(nonce: str, checks: tuple[SmokeCheck, ...], **wrong: tuple[int, str]) -> str:
    """What the script prints when everything is right, but for the `wrong` checks: exit code and output."""
    text = ""
    for check in checks:
        if not check.skip:
            code, output = wrong.get(check.name, (0, check.expect))
            bars = "".join(f"|{line}\n" for line in output.split("\n"))
            text += f"{nonce} begin {check.name} {code}\n{bars}\n{nonce} errors\n\n{nonce} end\n"
    return text
