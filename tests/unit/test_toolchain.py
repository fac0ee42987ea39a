from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from archbed import ANSWER, answer, make_arch

from minios_steps.core.toolchain import (
    PROBE,
    ToolchainError,
    compiler_prefix,
    parse_probe,
    probe_command,
)

if TYPE_CHECKING:
    from pathlib import Path

ARCH = make_arch()
SW64 = make_arch(
    name="sw64",
    uname=["sw_64"],
    gnu_prefix="sw_64-sunway-linux-gnu-",
    cross_prefix="",
    emulator=[],
    debian={},
)


def test_whole_answer() -> None:
    found = parse_probe(ANSWER, ARCH)
    assert found.summary == (
        "gcc 12.2.0 (aarch64-linux-gnu), glibc 2.36, make 4.3, 2 cores, 82 GB free, no Docker"
    )
    assert found.prefix == "aarch64-linux-gnu-"
    assert found.tools == ("make", "tar", "gzip", "bzip2", "gcc")
    assert found.linux_headers == "6.1.4"
    assert found.disk_free == 80_000_000 * 1024
    assert found.emulator == "/usr/bin/qemu-aarch64-static"
    assert found.libc_files == ("libc.a 8e5252c4", "crt1.o 4b46dce5")
    found.check_against(ARCH)


def test_docker_engine_is_in_the_summary() -> None:
    assert parse_probe(answer(engine="20.10.24"), ARCH).summary.endswith(", Docker 20.10.24")


def test_native_compiler_has_no_prefix() -> None:
    assert compiler_prefix(ARCH, "aarch64") == ""
    assert compiler_prefix(ARCH, "x86_64") == "aarch64-linux-gnu-"
    assert parse_probe(answer(uname="aarch64", cc="gcc"), ARCH).prefix == ""


@pytest.mark.parametrize(
    ("macros", "libc"),
    [
        ("2 28 __UCLIBC__", "glibc 2.28"),
        ("__GLIBC__ __GLIBC_MINOR__ __UCLIBC__", "musl"),
        ("2 2 1", "uclibc"),
        ("nonsense", ""),
    ],
)
def test_libc(macros: str, libc: str) -> None:
    assert parse_probe(answer(libc_macros=macros), ARCH).libc == libc


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("gcc version 7.1.0 20170502 (Sunway)", "gcc 7.1.0"),
        ("Debian clang version 14.0.6", "clang 14.0.6"),
        ("something else", "aarch64-linux-gnu-gcc"),
    ],
)
def test_compiler_name(line: str, name: str) -> None:
    assert parse_probe(answer(cc_v=line), ARCH).compiler == name


def test_identity_ignores_what_does_not_change_bytes() -> None:
    same = {
        "cores": "64",
        "disk_kb": "5",
        "kernel": "5.4",
        "uname": "aarch64",
        "engine": "25",
        "make_version": "x",
    }
    before = parse_probe(ANSWER, ARCH).identity
    assert parse_probe(answer(**same), ARCH).identity == before
    plugins = "cc_v\tOFFLOAD_TARGET_NAMES=x\ncc_v\tCOLLECT_GCC=/opt/bin/"
    moved = ANSWER.replace("cc_v\tCOLLECT_GCC=", plugins)
    assert parse_probe(moved, ARCH).identity == before


@pytest.mark.parametrize(
    "change",
    [
        {"cc_v": "gcc version 12.2.0 (Debian 12.2.0-15)"},
        {"target": "aarch64-unknown-linux-gnu"},
        {"libc_macros": "2 37 __UCLIBC__"},
        {"libc_file": "crt1.o ffffffff  -"},
        {"linux_headers": "393477"},
        {"linker": "GNU ld 2.41"},
    ],
)
def test_identity_has_all_that_changes_bytes(change: dict[str, str]) -> None:
    assert parse_probe(answer(**change), ARCH).identity != parse_probe(ANSWER, ARCH).identity


def test_missing_cross_compiler_names_it_and_its_packages() -> None:
    with pytest.raises(ToolchainError) as caught:
        parse_probe(answer(cc_path=None), ARCH)
    assert caught.value.what == (
        "no compiler for aarch64 on this x86_64 machine: aarch64-linux-gnu-gcc was not found"
    )
    assert caught.value.hint == (
        "on Debian: apt-get install --no-install-recommends gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
    )


def test_missing_native_compiler() -> None:
    with pytest.raises(ToolchainError, match="aarch64 machine: gcc was not found") as caught:
        parse_probe(answer(uname="aarch64", cc="gcc", cc_path=None), ARCH)
    assert caught.value.hint.endswith(" gcc libc6-dev")


def test_no_cross_compiler_in_the_world() -> None:
    with pytest.raises(ToolchainError, match=r"^no compiler for sw64 on this x86_64 machine") as caught:
        parse_probe(answer(cc="", cc_path=None), SW64)
    assert "attach a sw64 machine" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "sh: not found\n", ANSWER.replace("minios-probe", "x"), answer(uname="")]
)
def test_no_answer(text: str) -> None:
    with pytest.raises(ToolchainError, match="did not answer"):
        parse_probe(text, ARCH)


def test_everything_but_the_compiler_may_be_unknown() -> None:
    found = parse_probe("minios-probe\t1\nuname\tx86_64\ncc\tx-gcc\ncc_path\t/x-gcc\n", ARCH)
    assert found.summary == "x-gcc (unknown target), 1 core, no Docker"
    with pytest.raises(ToolchainError, match="missing on this machine: make, tar, gzip, bzip2, gcc"):
        found.check_against(ARCH)


def test_hostile_answer_is_bounded_and_cleaned() -> None:
    flood = answer(linker="\x1b[31mred\x07" + "x" * 100_000, cores="9" * 400, disk_kb="9" * 18)
    flood += "cc_v\tmore\n" * 5000 + "junk without a tab\n" * 100_000
    found = parse_probe(flood, ARCH)
    assert found.linker.startswith("[31mred x")
    assert len(found.linker) < 10_000
    assert found.cc_version.count("\n") < 100
    assert found.cores == 1
    assert len(found.identity) < 20_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"target": "x86_64-linux-gnu"},
            "aarch64-linux-gnu-gcc compiles for x86_64-linux-gnu, expected .* aarch64",
        ),
        (
            {"libc_macros": "__GLIBC__ __GLIBC_MINOR__ __UCLIBC__"},
            "links musl, but the configuration .* says glibc",
        ),
        ({"bzip2": "", "make": ""}, "missing on this machine: make, bzip2"),
        ({"disk_kb": "12000"}, "only 12 MB free"),
    ],
)
def test_machine_that_cannot_do(change: dict[str, str], message: str) -> None:
    with pytest.raises(ToolchainError, match=message):
        parse_probe(answer(**change), ARCH).check_against(ARCH)


def test_vendor_spelling_of_the_target_is_accepted() -> None:
    for target in ("sw_64-unknown-linux-gnu", "sw_64sw6a-sunway-linux-gnu", "sw_64-sunway-linux-gnu"):
        text = answer(uname="sw_64", cc="gcc", target=target)
        parse_probe(text, SW64).check_against(SW64)


def fake(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)


def run_probe(folder: Path) -> str:
    """The real script, on a machine whose programs are those of a folder and few of this one's."""
    for name in ("cat", "df", "cksum"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        probe_command(ARCH),
        cwd=folder,
        env={"PATH": str(folder)},
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


GCC = """
case "$1" in
    -v) echo 'gcc version 8.3.0 (Vendor)' >&2 ;;
    -dumpmachine) echo aarch64-vendor-linux-gnu ;;
    -print-prog-name=ld) echo ld ;;
    -print-file-name=crt1.o) echo "$PWD/crt1.o" ;;
    -print-file-name=*) echo "${1#*=}" ;;
    -x) while read -r line; do case $line in minios*GLIBC*) echo minios 2 28 __UCLIBC__ ;; esac; done ;;
esac
"""


def test_script_on_an_old_machine_with_few_tools(tmp_path: Path) -> None:
    fake(tmp_path, "uname", 'case "$1" in -m) echo aarch64 ;; *) echo other ;; esac')
    fake(tmp_path, "gcc", GCC)
    fake(tmp_path, "ld", "echo 'GNU ld 2.31'")
    fake(tmp_path, "make", "echo 'GNU Make 4.2.1'; echo more")
    fake(tmp_path, "qemu-aarch64", "")
    (tmp_path / "crt1.o").write_text("start", "utf-8")
    found = parse_probe(run_probe(tmp_path), ARCH)
    assert (found.cc, found.compiler, found.libc) == ("gcc", "gcc 8.3.0", "glibc 2.28")
    assert (found.linker, found.make, found.cores) == ("GNU ld 2.31", "4.2.1", 1)
    assert found.emulator == str(tmp_path / "qemu-aarch64")
    assert found.tools == ("make", "gcc")
    assert len(found.libc_files) == 1
    assert found.disk_free > 0


def test_script_without_a_compiler(tmp_path: Path) -> None:
    fake(tmp_path, "uname", "echo x86_64")
    with pytest.raises(ToolchainError, match="aarch64-linux-gnu-gcc was not found"):
        parse_probe(run_probe(tmp_path), ARCH)


def test_docker_that_hangs_is_no_engine(tmp_path: Path) -> None:
    fake(tmp_path, "uname", "echo x86_64")
    fake(tmp_path, "docker", "exec /bin/sleep 60")
    fake(tmp_path, "timeout", 'case "$2" in true) exit 0 ;; *) exit 124 ;; esac')
    assert "engine\t" not in run_probe(tmp_path)


def test_script_is_small_and_plain() -> None:
    assert len(PROBE) < 4000
    for bashism in ("[[", "local ", "$'", "<<<", "function "):
        assert bashism not in PROBE
