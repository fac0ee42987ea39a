from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from archbed import make_arch

from minios_steps.core.errors import MiniosError, RootfsError
from minios_steps.core.smoke import (
    MAX_OUTPUT,
    container_script,
    parse_smoke,
    runner,
    smoke_script,
)
from minios_steps.core.smoke_checks import SmokeCheck, smoke_checks

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.smoke import SmokeResult

NONCE = "0123456789abcdef"
APPLETS = ("[", "awk", "cat", "sed", "sh", "sha256sum", "tar", "tr", "vi")
ARCH = make_arch()

# The machine's own tools behind BusyBox's face: what a good BusyBox answers.
GOOD = """
case "$1" in
    --list) printf '%s\\n' [ awk cat sed sh sha256sum tar tr vi ;;
    vi) echo 'BusyBox multi-call binary.' >&2; echo 'Usage: vi [-R] [FILE]...' >&2 ;;
    *) exec "$@" ;;
esac
"""


def fake_busybox(folder: Path, script: str) -> Path:
    path = folder / "root fs" / "bin" / "busybox"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def run(
    folder: Path, script: str, checks: tuple[SmokeCheck, ...] | None = None, seconds: int = 10
) -> dict[str, SmokeResult]:
    busybox = fake_busybox(folder, script)
    chosen = smoke_checks(APPLETS) if checks is None else checks
    text = smoke_script(chosen, (str(busybox),), nonce=NONCE, seconds=seconds)
    done = subprocess.run(["/bin/sh", "-c", text], cwd=folder, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["root fs"], "the script leaves its folder behind"
    results = parse_smoke(done.stdout.decode("utf-8", "replace"), chosen, NONCE)
    return {result.name: result for result in results}


def only(script: str, expect: str = "") -> tuple[SmokeCheck, ...]:
    return (SmokeCheck("one", script, expect),)


def test_good_busybox_passes_everything(tmp_path: Path) -> None:
    results = run(tmp_path, GOOD)
    assert [r for r in results.values() if r.outcome != "passed"] == []
    assert list(results) == [
        "arithmetic",
        "arithmetic-64",
        "pipe",
        "tar",
        "sha256sum",
        "awk",
        "sed",
        "vi",
        "applets",
    ]
    assert results["applets"].detail == "9 as configured"


def test_wrong_answer_says_expected_and_found(tmp_path: Path) -> None:
    results = run(tmp_path, GOOD.replace("*) exec", "sha256sum) echo 0000 ;;\n*) exec"))
    assert not results["sha256sum"].ok
    assert results["sha256sum"].detail.startswith("expected 'ba7816bf")
    assert "found '0000 / 0000'" in results["sha256sum"].detail
    assert results["pipe"].ok


def test_applets_that_differ_are_named(tmp_path: Path) -> None:
    results = run(tmp_path, GOOD.replace("tr vi ;;", "tr wget ;;"))
    assert results["applets"].detail == "missing: vi; not configured: wget"


def test_links_name_applets_too() -> None:
    [listed] = [check for check in smoke_checks(["/bin/sh", "/usr/bin/["]) if check.name == "applets"]
    assert listed.expect == "[ sh"


def test_what_is_not_configured_is_skipped(tmp_path: Path) -> None:
    checks = smoke_checks(["sh", "tr"])
    results = run(
        tmp_path, GOOD.replace("printf '%s\\n' [ awk cat sed sh sha256sum tar tr vi", "echo sh tr"), checks
    )
    assert results["tar"].outcome == "skipped"
    assert results["tar"].detail == "applet tar not configured"
    assert results["pipe"].detail == "applet cat not configured"
    assert results["arithmetic"].outcome == "passed"
    assert all(result.ok for result in results.values())


def test_feature_that_is_off_is_skipped() -> None:
    checks = {c.name: c.skip for c in smoke_checks(APPLETS, {"FEATURE_SH_MATH": "y", "SHOW_USAGE": "n"})}
    assert checks["arithmetic"] == ""
    assert checks["arithmetic-64"] == "CONFIG_FEATURE_SH_MATH_64 not configured"
    assert checks["vi"] == "CONFIG_SHOW_USAGE not configured"
    assert checks["applets"] == ""


def test_program_that_cannot_run(tmp_path: Path) -> None:
    results = run(tmp_path, "exit 126")
    assert {result.outcome for result in results.values()} == {"failed"}
    assert results["vi"].detail.startswith("ended with 126")


def test_crash_names_the_signal(tmp_path: Path) -> None:
    result = run(tmp_path, "kill -SEGV $$", only('"$BB" x'))["one"]
    assert result.detail.startswith("killed by SIGSEGV")


def test_endless_check_is_stopped(tmp_path: Path) -> None:
    result = run(tmp_path, "exec sleep 60", only('"$BB" x'), seconds=1)["one"]
    assert result.detail.startswith("ran into its time limit")


def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert run(tmp_path, "cat", only('"$BB" x'))["one"].ok


def test_output_cannot_pass_for_a_result(tmp_path: Path) -> None:
    forged = (
        f"echo '{NONCE} end'; echo '{NONCE} begin two 0'; echo '{NONCE} errors'; echo '{NONCE} end'; exit 3"
    )
    checks = (*only('"$BB" x'), SmokeCheck("two", '"$BB" y', "fine"))
    results = run(tmp_path, forged, checks)
    assert [result.outcome for result in results.values()] == ["failed", "failed"]
    assert results["two"].detail.startswith("ended with 3")


def test_two_answers_are_no_answer() -> None:
    text = f"{NONCE} begin one 0\n{NONCE} errors\n{NONCE} end\n" * 2
    [result] = parse_smoke(text, only("true"), NONCE)
    assert (result.ok, result.detail) == (False, "answered more than once")


@pytest.mark.parametrize("text", ["", f"{NONCE} begin one 0\n|", f"{NONCE} begin one zero\n{NONCE} end\n"])
def test_no_answer_is_a_failure(text: str) -> None:
    [result] = parse_smoke(text, only("true"), NONCE)
    assert (result.ok, result.detail) == (False, "did not answer")


def test_answer_under_another_nonce_does_not_count() -> None:
    text = "f" * 16 + " begin one 0\n" + "f" * 16 + " errors\n" + "f" * 16 + " end\n"
    assert not parse_smoke(text, only("true"), NONCE)[0].ok


def test_flood_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    checks = only('"$BB" x', "yes")
    result = run(
        tmp_path, "printf '\\033[2J\\377\\000'; dd if=/dev/zero bs=1000 count=1000 2>/dev/null", checks
    )["one"]
    assert not result.ok
    assert "\x1b" not in result.detail
    assert len(result.detail) < 500
    assert MAX_OUTPUT < 1_000_000


def test_detail_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, "printf 'a\\nb\\nc\\n' >&2; exit 1", only('"$BB" x'))["one"]
    assert result.detail == "ended with 1: a / b / c"


def test_without_the_timeout_command(tmp_path: Path) -> None:
    busybox = fake_busybox(tmp_path, "echo fine")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("mkdir", "rm", "chmod", "dd", "sed"):
        (tools / name).symlink_to(f"/bin/{name}")
    checks = only('"$BB" x', "fine")
    text = smoke_script(checks, (str(busybox),), nonce=NONCE, seconds=5)
    done = subprocess.run(
        ["/bin/sh", "-c", text],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert parse_smoke(done.stdout, checks, NONCE)[0].ok, done.stdout + done.stderr


def test_relative_runner_is_found_from_every_check(tmp_path: Path) -> None:
    fake_busybox(tmp_path, "echo fine")
    command = runner(ARCH, "static", native=True, emulator="", interpreter="", rootfs="root fs")
    assert command == ("./root fs/bin/busybox",)
    text = smoke_script(only('cd / && "$BB" x', "fine"), command, nonce=NONCE, seconds=5)
    done = subprocess.run(["/bin/sh", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert parse_smoke(done.stdout, only("", "fine"), NONCE)[0].ok, done.stdout + done.stderr


def test_runner_under_an_emulator() -> None:
    command = runner(ARCH, "static", native=False, emulator="/usr/bin/qemu", interpreter="", rootfs="/r")
    assert command == ("/usr/bin/qemu", "/r/bin/busybox")


def test_runner_starts_dynamic_programs_by_their_own_loader() -> None:
    command = runner(ARCH, "dynamic", native=False, emulator="qemu", interpreter="/lib/ld.so.1", rootfs="/r")
    assert command == ("qemu", "/r/lib/ld.so.1", "--library-path", "/r/usr/lib64", "/r/bin/busybox")


def test_runner_without_an_emulator() -> None:
    with pytest.raises(
        MiniosError, match=r"no emulator .* aarch64 .*qemu-aarch64-static, qemu-aarch64"
    ) as caught:
        runner(ARCH, "static", native=False, emulator="", interpreter="", rootfs="/r")
    assert "qemu-user-static" in caught.value.hint


def test_runner_for_a_dynamic_program_without_a_loader() -> None:
    with pytest.raises(RootfsError, match="names no loader"):
        runner(ARCH, "dynamic", native=True, emulator="", interpreter="", rootfs="/r")


@pytest.mark.parametrize("nonce", ["", "short", "x" * 16, NONCE + " "])
def test_bad_nonce(nonce: str) -> None:
    with pytest.raises(ValueError, match="nonce"):
        smoke_script((), ("busybox",), nonce=nonce, seconds=1)


def test_skipped_checks_are_not_in_the_script() -> None:
    check = replace(only("true")[0], skip="because")
    assert "check one" not in smoke_script((check,), ("busybox",), nonce=NONCE, seconds=1)


def test_inside_an_image_its_own_programs_are_needed() -> None:
    applets = ("sh", "tar", "sed", "cat", "tr")
    outside = {check.name: check.skip for check in smoke_checks(applets)}
    inside = {check.name: check.skip for check in smoke_checks(applets, inside=True)}
    assert not outside["tar"]
    assert inside["tar"] == "applet chmod not configured"
    assert inside["sed"] == "applet printf not configured"
    assert not inside["pipe"]
    assert all(check.skip for check in smoke_checks(["cat"], inside=True))


def test_inside_an_image_the_checks_need_nothing_else(tmp_path: Path) -> None:
    others = {name for check in smoke_checks([]) for name in check.others}
    applets = sorted({*APPLETS, *others})
    busybox = fake_busybox(tmp_path, GOOD.replace("[ awk cat sed sh sha256sum tar tr vi", " ".join(applets)))
    # The image's own folder of programs, and nothing of the machine's beside it.
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in (*applets, "env"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    checks = smoke_checks(applets, inside=True)
    enter = ("env", "-i", f"PATH={programs}", f"BB={busybox}", str(programs / "sh"), "-c")
    script = container_script(checks, lambda _: enter, nonce=NONCE, seconds=10)
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    results = parse_smoke(done.stdout, checks, NONCE)
    assert [result for result in results if result.outcome != "passed"] == []


def test_each_check_is_entered_by_its_name() -> None:
    script = container_script(only("true"), lambda name: ("docker", "exec", name), nonce=NONCE, seconds=5)
    assert "\ncheck one docker exec one true\n" in script
    assert "BB=" not in script
