"""The answers of a smoke test that the image passes, or fails as a test wants it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stepbed import download, shell

if TYPE_CHECKING:
    from minios_steps.core.smoke_checks import SmokeCheck


def answers(nonce: str, checks: tuple[SmokeCheck, ...], **wrong: tuple[int, str]) -> str:
    """What the script prints when everything is right, but for the `wrong` checks: exit code and output."""
    text = f"{nonce} unpacked\n"
    for check in checks:
        if not check.skip:
            code, output = wrong.get(check.name, (0, check.expect))
            bars = "".join(f"|{line}\n" for line in output.split("\n"))
            text += f"{nonce} begin {check.name} {code}\n{bars}\n{nonce} errors\n\n{nonce} end\n"
    return text


def exchange(checks: tuple[SmokeCheck, ...], sent: list[bytes], **wrong: tuple[int, str]) -> tuple[Any, ...]:
    """All that a smoke test says to the worker, which answers as `answers`; `sent` gets the layer."""
    scripts: list[str] = []

    def keep(data: bytes) -> None:
        scripts.append(data.decode())

    def answer(remote: Any) -> None:
        found = re.search(r"echo \"([0-9a-f]{16}) begin", scripts[0])
        assert found
        remote.remote_update([({"stdout": answers(found[1], checks, **wrong)}, 0)])

    folder = "build/smoke"
    run = shell(["sh", "smoke.sh"], workdir=folder, max_lines=20_000)
    return (
        download("layer.tar.gz", workdir=folder, text=False, into=sent.append),
        download("smoke.sh", workdir=folder, text=True, into=keep),
        run.behavior(answer).exit(0),
    )
