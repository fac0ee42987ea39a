from __future__ import annotations

import pytest

from minios_steps.core.nightly.causes import is_sure


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("compile", "compile failed: coreutils/echo.c:12:1: error: expected ';' before 'int'"),
        ("compile", "compile failed: make ended with 2"),
        ("configure", "CONFIG_NO_SUCH_THING is not in this release"),
        ("stage", "bin/busybox is dynamic in the static variant: it needs libc.so.6"),
        # A file's name is no signal.
        ("compile", "compile failed: procps/killall.c:3: error: unknown type name"),
    ],
)
def test_inputs_are_to_blame(step: str, reason: str) -> None:
    assert is_sure("failed", step, reason)


@pytest.mark.parametrize(
    ("outcome", "step", "reason"),
    [
        ("timed-out", "", "still running after 3600 s"),
        ("no-worker", "", "no worker for sw64 is connected"),
        ("refused", "", "blob is damaged"),
        # A worker that was lost has no step that says why.
        ("failed", "", "build exception"),
        ("failed", "smoke", "smoke test failed natively: pipe: killed by SIGSEGV"),
        ("failed", "push", "the registry answered 503"),
        ("failed", "fetch", "no mirror has it"),
        ("failed", "compile", "compile timed out after 600 s, 12 files done"),
        ("failed", "compile", "compile failed: fatal error: error writing to a.s: No space left on device"),
        ("failed", "compile", "compile failed: internal compiler error: Killed (program cc1)"),
        ("failed", "compile", "compile failed: cc1: out of memory allocating 65536 bytes"),
        ("failed", "compile", "compile failed: fatal error: Killed signal terminated program cc1"),
        ("failed", "stage", "the worker could not send 'install.tar': it said nothing"),
    ],
)
def test_machine_may_be_to_blame(outcome: str, step: str, reason: str) -> None:
    assert not is_sure(outcome, step, reason)
