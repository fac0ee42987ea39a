"""A worker's folders, and a made-up release whose makefile is two lines, for the real scripts."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

from minios_steps.core.build_folder import BuildFolder, parse_opened
from minios_steps.core.digest import Digest
from minios_steps.core.make import configure_command, make_command, make_environment

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = Digest.of(b"source")
# As kbuild does: the goals in one call, objects where O= says, and the Makefile there is its own.
MAKEFILE = """\
source := $(or $(KBUILD_SRC),$(CURDIR))
export O
all:
%config: gen_build_files
\t@echo "$(ARCH) $@" >>$(O)/.config; echo 'all:' >$(O)/Makefile
\t@echo 1.38.0 >$(O)/.kernelrelease; mkdir -p $(O)/scripts/kconfig
\t@echo '[ -f "$$srctree/part.c" ] && echo "$$ARCH $$KERNELVERSION $$1" >>.config' >$(O)/scripts/kconfig/conf
\t@chmod +x $(O)/scripts/kconfig/conf
\t$(MTIME_IS_COARSE) && sleep 30
gen_build_files:
\t@echo "  GEN     Kbuild"; cat $(source)/part.c >$(O)/Kbuild
LDLIBS := m
busybox: gen_build_files part.o
\t@echo "  LINK    $(or $(LDLIBS),none)"
\t@if [ -e $(O)/needs ]; then echo "cc -l$(LDLIBS)"; else echo "cc"; fi >$(O)/busybox_unstripped.out
\t@[ ! -e $(O)/needs ] || [ "$(LDLIBS)" ]
\t@cat $(O)/part.o >$(O)/busybox
part.o: $(O)/part.o
$(O)/part.o: $(source)/part.c
\t@echo "  CC      part.o"; sleep 0; $(CC) $< >$(O)/part.o
busybox.links: busybox
\t@echo /bin/ls >$(O)/busybox.links; ls $(O)/busybox >/dev/null
.PHONY: gen_build_files busybox busybox.links part.o
"""


def tarball(path: Path, **files: str) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {"Makefile": MAKEFILE, "part.c": "source\n", **files}.items():
            info = tarfile.TarInfo(f"busybox-1.38.0/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))


def plain_environment() -> dict[str, str]:
    """Without a make around the tests, which would have a say in every make below it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


class Worker:
    """A worker's folders: the builder's is below it, and the build folder is new each time."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "worker"
        self.builder = self.base / "x86_64"
        self.build = self.builder / "build"
        self.objects = self.build / "obj"

    def open(self, family: str = "f", *, fresh: bool = False, trees: str = "..") -> str:
        """What `FetchSource` does; returns `kept` or `new`."""
        shutil.rmtree(self.build, ignore_errors=True)
        self.build.mkdir(parents=True)
        folder = BuildFolder(trees, SOURCE, family, fresh)
        opened = parse_opened(self.run(*folder.command))
        if opened == "wanted":
            tarball(self.build / "source.tar.gz")
            opened = parse_opened(self.run(*folder.command))
        assert not (self.build / "source.tar.gz").exists()
        return opened

    def run(self, *command: str, folder: Path | None = None, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=folder or self.build,
            env={**plain_environment(), **make_environment(epoch=7, ccache=False, compiler="")},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def configure(self) -> str:
        """What `ConfigureBusyBox` does."""
        return self.run(*configure_command("x86_64"), folder=self.objects)

    def make(self, *, prefix: str = "", code: int = 0) -> str:
        """What `ConfigureBusyBox` and `CompileBusyBox` do; the compiler is `cat`."""
        told = self.configure()
        command = make_command(jobs=2, arch="x86_64", prefix=prefix, ccache=False)
        return told + self.run(
            *command[:4], "CC=cat" if not code else "CC=false", *command[4:], folder=self.objects, code=code
        )

    @property
    def kept(self) -> list[Path]:
        return sorted((self.builder / "kept").iterdir())

    @property
    def tree(self) -> Path:
        [found] = self.base.glob("minios-src-*")
        return found
