"""The smoke test's run: one POSIX sh script, and the judging of what it prints.

The script runs every check of `smoke_checks` on the worker and hands back what was printed; whether
that is right is decided here, from what came back.
"""

from __future__ import annotations

import re
import shlex
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minios_steps.core.errors import MiniosError, RootfsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from minios_steps.core.config.arch import Arch
    from minios_steps.core.config.base import Variant
    from minios_steps.core.smoke_checks import SmokeCheck

MAX_OUTPUT = 32768
"""Bytes of each stream of each check that the worker hands back."""

_EXCERPT = 160
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NONCE = re.compile(r"[0-9a-f]{16,64}")
_TIMED_OUT = frozenset({124, 128 + signal.SIGKILL})
_SIGNALLED = 128


@dataclass(frozen=True)
class SmokeResult:
    """How a check ended; `detail` is one line."""

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    detail: str

    @property
    def ok(self) -> bool:
        """Nothing is wrong: it passed, or its applet is not in this configuration."""
        return self.outcome != "failed"


def runner(
    arch: Arch, variant: Variant, *, native: bool, emulator: str, interpreter: str, rootfs: str
) -> tuple[str, ...]:
    """The words that run the BusyBox of a staged root file system on a worker.

    Args:
        arch: the CPU it was built for.
        variant: `dynamic` is started through its own loader, so that it finds its own libraries.
        native: whether the worker has this CPU.
        emulator: the path or name of the user-mode emulator found there; empty for none.
        interpreter: the loader's absolute path inside the image, from the ELF header.
        rootfs: the root file system's folder, absolute or relative to the step's folder.

    Raises:
        MiniosError: another CPU, and no emulator for it.
        RootfsError: a dynamic program that names no loader.
    """
    root = rootfs if rootfs.startswith("/") else f"./{rootfs}"
    program: tuple[str, ...] = (f"{root}/bin/busybox",)
    if variant == "dynamic":
        if not interpreter.startswith("/"):
            raise RootfsError(
                f"bin/busybox of {arch.name} is to be dynamic, but names no loader: {interpreter!r}"
            )
        program = (f"{root}{interpreter}", "--library-path", f"{root}/usr/lib64", *program)
    if native:
        return program
    if not emulator:
        wanted = ", ".join(arch.emulator) or "the configuration names none"
        packages = " ".join(arch.debian.emulator)
        raise MiniosError(
            f"no emulator on this machine to run {arch.name} programs (looked for: {wanted})",
            hint=f"on Debian: apt-get install --no-install-recommends {packages}" if packages else "",
        )
    return (emulator, *program)


def smoke_script(checks: Iterable[SmokeCheck], run: Sequence[str], *, nonce: str, seconds: int) -> str:
    """The POSIX sh script that runs the checks on a worker.

    Args:
        checks: from `smoke_checks`; those with a `skip` are left out.
        run: from `runner`; paths may be relative to the folder the script is started in.
        nonce: 16 to 64 random hexadecimal characters, so that output cannot pass for a result.
        seconds: time allowed per check, where the worker has `timeout`.
    """
    words = ['"$SMOKE_HERE"/' + shlex.quote(word) if _relative(word) else shlex.quote(word) for word in run]
    wrapper = f'#!/bin/sh\nexec {" ".join(words)} "$@"'
    setup = f"""BB=$room/bb
export BB
printf '%s\\n' {shlex.quote(wrapper)} >"$BB" && chmod 700 "$BB" || exit 1"""
    return _script(checks, lambda _: ("/bin/sh", "-c"), setup, nonce, seconds)


def unpack_script(layer: str, root: str, *, nonce: str) -> str:
    """The POSIX sh lines before `smoke_script` that unpack a layer where they are run, and say so.

    Args:
        layer: the gzipped layer's name; it is removed.
        root: the folder to unpack it into. What an earlier test left there goes first, whole: it may
            have been another image's.
        nonce: as in `smoke_script`.
    """
    return f"""\
rm -rf {root} smoke.[0-9]* && mkdir {root} && gzip -dc {layer} >layer || exit 1
tar xf layer -C {root} && rm layer {layer} && echo "{nonce} unpacked" || exit 1
"""


def is_unpacked(text: str, nonce: str) -> bool:
    """Whether a script with `unpack_script` printed that it has unpacked."""
    return f"{nonce} unpacked" in text.split("\n")


def container_script(
    checks: Iterable[SmokeCheck], enter: Callable[[str], Sequence[str]], *, nonce: str, seconds: int
) -> str:
    """The POSIX sh script that runs the checks in a container, by the image's own shell and programs.

    Args:
        checks: from `smoke_checks(inside=True)`; those with a `skip` are left out.
        enter: gives the command that runs the text after it in the container, by a check's name.
        nonce: as in `smoke_script`; the container never sees it.
        seconds: time allowed per check, where the worker has `timeout`.
    """
    return _script(checks, enter, "", nonce, seconds)


def _script(
    checks: Iterable[SmokeCheck], start: Callable[[str], Sequence[str]], setup: str, nonce: str, seconds: int
) -> str:
    if not _NONCE.fullmatch(nonce):
        raise ValueError(f"not a nonce: {nonce!r}")
    calls = [
        shlex.join(("check", item.name, *start(item.name), item.script)) for item in checks if not item.skip
    ]
    # Every line of output gets a bar in front: nothing a check prints looks like the framing.
    return f"""LC_ALL=C SMOKE_HERE=$(pwd) && room=$SMOKE_HERE/smoke.$$ && mkdir -m 700 "$room" || exit 1
trap 'cd / && rm -rf "$room"' EXIT
trap 'exit 1' HUP INT TERM
export LC_ALL SMOKE_HERE
{setup}
limit=
if timeout -k 1 5 true 2>/dev/null; then limit='timeout -k 5 {seconds}'
elif timeout 5 true 2>/dev/null; then limit='timeout {seconds}'
fi
bars() {{ dd if="$1" bs={MAX_OUTPUT} count=1 2>/dev/null | sed 's/^/|/'; echo; }}
check() {{
    name=$1
    shift
    mkdir "$room/$name" || exit 1
    (cd "$room/$name" && exec $limit "$@") </dev/null >"$room/out" 2>"$room/err"
    echo "{nonce} begin $name $?"
    bars "$room/out"
    echo "{nonce} errors"
    bars "$room/err"
    echo "{nonce} end"
}}
{chr(10).join(calls)}
exit 0
"""


def parse_smoke(text: str, checks: Iterable[SmokeCheck], nonce: str) -> tuple[SmokeResult, ...]:
    """Judge what the script printed: one result per check, in order; no answer is a failure."""
    answers = _answers(text, nonce)
    return tuple(_judge(check, answers.get(check.name, [])) for check in checks)


def _relative(word: str) -> bool:
    return "/" in word and not word.startswith("/")


@dataclass
class _Answer:
    code: int
    output: str = ""
    errors: str = ""


def _answers(text: str, nonce: str) -> dict[str, list[_Answer]]:
    begin = re.compile(rf"{nonce} begin (\S{{1,64}}) ([0-9]{{1,3}})")
    found: dict[str, list[_Answer]] = {}
    lines: list[str] | None = None
    name, answer = "", _Answer(0)
    for line in text.split("\n"):
        if match := begin.fullmatch(line):
            name, answer, lines = match[1], _Answer(int(match[2])), []
        elif lines is not None and line == f"{nonce} errors":
            answer.output, lines = "\n".join(lines), []
        elif lines is not None and line == f"{nonce} end":
            answer.errors, lines = "\n".join(lines), None
            found.setdefault(name, []).append(answer)
        elif lines is not None and line.startswith("|"):
            lines.append(line[1:])
    return found


def _judge(check: SmokeCheck, answers: list[_Answer]) -> SmokeResult:
    if check.skip:
        return SmokeResult(check.name, "skipped", check.skip)
    if len(answers) != 1:
        why = "answered more than once" if answers else "did not answer"
        return SmokeResult(check.name, "failed", why)
    problem, detail = _compare(check, answers[0])
    return SmokeResult(check.name, "failed" if problem else "passed", problem or detail)


def _compare(check: SmokeCheck, answer: _Answer) -> tuple[str, str]:
    """What is wrong, or nothing, and a word on what is right."""
    if answer.code:
        said = _excerpt(answer.errors or answer.output)
        return f"{_ending(answer.code)}{said and f': {said}'}", ""
    if check.match == "words":
        wanted, got = set(check.expect.split()), set(answer.output.split())
        missing, extra = sorted(wanted - got), sorted(got - wanted)
        parts = (missing and f"missing: {' '.join(missing)}", extra and f"not configured: {' '.join(extra)}")
        return _excerpt("; ".join(part for part in parts if part)), f"{len(got)} as configured"
    good = check.expect == answer.output if check.match == "exact" else check.expect in answer.output
    if good:
        return "", _excerpt(check.expect)
    said = f"; {_excerpt(answer.errors)}" if answer.errors else ""
    return f"expected {_excerpt(check.expect)!r}, found {_excerpt(answer.output)!r}{said}", ""


def _ending(code: int) -> str:
    if code in _TIMED_OUT:
        return "ran into its time limit"
    return f"killed by {_signal_name(code - _SIGNALLED)}" if code > _SIGNALLED else f"ended with {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _excerpt(text: str) -> str:
    line = " / ".join(part.strip() for part in _NOT_TEXT.sub("?", text).strip().splitlines()[:6])
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}…"
