"""A toolchain that does nothing, and a configuration with as many cells as are asked for.

A stand-in for compilers: `make` puts a program there that was compiled before, `gcc` only says
who it is. What is left of a cell is what the master, Buildbot and the worker do around the compiler.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_700_000_000
_MACHINES = {"x86_64": 62, "aarch64": 183}
"""ELF machine numbers of the machines that this bench runs on."""

_PROGRAM = r"""
static long call(long n, long a, long b, long c) {
#if defined __x86_64__
    __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return n;
#else
    register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#endif
}
#include <sys/syscall.h>
void _start(void) {
    call(SYS_write, 1, (long)"env\n", 4);
    call(SYS_exit, 0, 0, 0);
}
"""
"""A program of a kilobyte: packing a real one is the image's cost, and not the dispatcher's."""
_GCC = """#!/bin/sh
for word; do
    case $word in
        -v) echo 'gcc version 12.2.0 (does nothing)' >&2; exit 0 ;;
        -dumpmachine) echo '{uname}-linux-gnu'; exit 0 ;;
        -print-prog-name=*) echo '{here}/ld'; exit 0 ;;
        -print-file-name=crt1.o) echo '{here}/crt1.o'; exit 0 ;;
        -print-file-name=*) echo "${{word#*=}}"; exit 0 ;;
        -E) echo 'minios 2 36 __UCLIBC__'; exit 0 ;;
    esac
done
"""
_MAKE = """#!/bin/sh
case " $* " in
    *' --version '*) echo 'GNU Make 4.3' ;;
    *' oldconfig '*) : ;;
    *) cp '{here}/busybox' '{here}/busybox.links' . ;;
esac
"""
_ARCH = """\
name: {name}
platform: {{architecture: {name}}}
elf: {{class: 64, data: little, machines: [{machine}]}}
uname: [{uname}]
gnu_prefix: {uname}-linux-gnu-
libc: glibc
"""
_SKELETON = "directories:\n" + "".join(
    f'  - {{path: {path}, mode: "0755", owner: 0:0}}\n' for path in ("bin", "usr", "usr/bin")
)
_MINIOS = """\
image: {{name: bench, title: bench, description: A bench}}
versions: [{versions}]
variants: [static]
arches: {{{arches}}}
tags: {{static: ["{{version}}"], dynamic: ["{{version}}-dynamic"]}}
policy: {{claim_timeout: 3600}}
"""


def make_toolchain(folder: Path) -> str:
    """Fill a new folder with `make`, `gcc` and what they give out; returns a PATH that starts with it."""
    folder.mkdir(parents=True)
    uname = os.uname().machine
    (folder / "busybox.links").write_text("/bin/env\n", "utf-8")
    subprocess.run(
        ["gcc", "-Os", "-static", "-nostdlib", "-s", "-x", "c", "-", "-o", str(folder / "busybox")],
        input=_PROGRAM,
        text=True,
        check=True,
    )
    for name, script in (("gcc", _GCC), ("make", _MAKE), ("ld", "#!/bin/sh\necho 'ld 2.40'\n")):
        path = folder / name
        path.write_text(script.format(here=folder, uname=uname) if "{here}" in script else script, "utf-8")
        path.chmod(0o755)
    (folder / "crt1.o").touch()
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def write_config(folder: Path, arches: int, versions: int) -> Path:
    """A configuration of `arches` times `versions` cells, all of which this machine compiles for itself."""
    uname = os.uname().machine
    names = [f"cpu{number}" for number in range(arches)]
    releases = [f"1.{number}.0" for number in range(versions)]
    files = {
        f"arches/{name}.yaml": _ARCH.format(name=name, machine=_MACHINES[uname], uname=uname)
        for name in names
    }
    files["minios.yaml"] = _MINIOS.format(
        versions=", ".join(releases), arches=", ".join(f"{name}: required" for name in names)
    )
    files["kconfig/base.config"] = "CONFIG_TRUE=y\n"
    files["kconfig/static.config"] = "CONFIG_STATIC=y\n"
    files["kconfig/dynamic.config"] = "# CONFIG_STATIC is not set\n"
    files["kconfig/libc/glibc.config"] = ""
    files["rootfs/skeleton.yaml"] = _SKELETON
    files["workers.yaml"] = f"local: {{arches: auto, jobs: 1, parallel: {min(arches, 64)}}}\n"
    pinned = []
    (folder / "mirror").mkdir(parents=True)
    for release in releases:
        data = _tarball(release)
        (folder / "mirror" / f"busybox-{release}.tar.bz2").write_bytes(data)
        pinned.append(f"  {release}: {{sha256: {hashlib.sha256(data).hexdigest()}, epoch: {EPOCH}}}\n")
    mirrors = "mirrors:\n  - {kind: file, path: 'mirror/busybox-{version}.tar.bz2'}\n"
    files["sources.yaml"] = f"releases:\n{''.join(pinned)}{mirrors}"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def _tarball(release: str) -> bytes:
    """A source of one file, in the shape of a BusyBox."""
    top = f"busybox-{release}"
    files = {
        "Makefile": "libs-y := coreutils/\n",
        "coreutils/Kbuild.src": "lib-y:=\nINSERT\n",
        "coreutils/true.c": "//kbuild:lib-$(CONFIG_TRUE) += true.o\n",
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:bz2") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mtime, info.mode = len(text), EPOCH, 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()
