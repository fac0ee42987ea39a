"""The real scripts on a made-up release, whose makefile is two lines: what is kept, and what never is."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.build_folder import (
    BUSY,
    GENERATED,
    MAX_KEPT,
    OPEN,
    BuildFolder,
    family_of,
    parse_opened,
)
from minios_steps.core.clean_check import clean_check_command, parse_checked
from minios_steps.core.digest import Digest
from minios_steps.core.errors import MiniosError
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


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_objects_are_apart_from_the_source(worker: Worker) -> None:
    assert worker.open() == "new"
    before = sorted(path.name for path in worker.tree.iterdir())
    assert "  CC      part.o\n" in worker.make()
    assert (worker.objects / "busybox").read_text() == "source\n"
    assert (worker.objects / "busybox.links").read_text() == "/bin/ls\n"
    assert (
        sorted(path.name for path in worker.tree.iterdir())
        == before
        == [".minios-ready", "Makefile", "part.c"]
    )


def test_the_next_build_goes_on_from_there(worker: Worker) -> None:
    worker.open()
    worker.make()
    assert worker.open() == "kept"
    assert "CC" not in worker.make()
    assert (worker.objects / "busybox").is_file()
    assert len(worker.kept) == 1


def test_the_source_is_read_once_a_folder(worker: Worker) -> None:
    worker.open()
    assert worker.make().count("GEN     Kbuild") == 1
    assert (worker.objects / ".config").read_text() == "x86_64 oldconfig\nx86_64 silentoldconfig\n"
    worker.open()
    (worker.objects / ".config").unlink()
    assert "GEN" not in worker.make()
    assert (worker.objects / ".config").read_text() == "x86_64 1.38.0 -o\nx86_64 1.38.0 -s\n"
    worker.open(fresh=True)
    assert "GEN     Kbuild" in worker.configure()
    assert sorted(path.name for path in worker.tree.iterdir()) == [".minios-ready", "Makefile", "part.c"]


def test_the_source_was_not_read_where_that_failed(worker: Worker) -> None:
    worker.open()
    (worker.objects / "Kbuild").mkdir()
    worker.run(*configure_command("x86_64"), folder=worker.objects, code=2)
    assert not (worker.objects / GENERATED).exists()


def test_kconfigs_program_is_gone(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    (worker.objects / "scripts" / "kconfig" / "conf").unlink()
    worker.configure()
    assert (worker.objects / "scripts" / "kconfig" / "conf").exists()


def links(told: str) -> list[str]:
    return [line.split()[1] for line in told.splitlines() if line.startswith("  LINK ")]


def test_a_link_without_libraries_is_not_tried_with_them_again(worker: Worker) -> None:
    worker.open()
    assert links(worker.make()) == ["m"]
    worker.open()
    assert links(worker.make()) == ["none"]


def test_a_change_that_needs_a_library(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    (worker.objects / "needs").touch()
    assert links(worker.make()) == ["none", "m"]
    assert not (worker.objects / BUSY).exists()
    worker.open()
    assert links(worker.make()) == ["m"], "what needed one the last time is not tried without"


def test_families_are_apart(worker: Worker) -> None:
    worker.open("one")
    worker.make()
    assert worker.open("two") == "new"
    worker.make()
    assert worker.open("one") == "kept"
    assert len(worker.kept) == 2


def test_what_did_not_end_well_is_never_used_again(worker: Worker) -> None:
    worker.open()
    worker.make(code=2)
    [failed] = worker.kept
    assert (failed / BUSY).exists()
    assert worker.open() == "new"
    assert worker.kept != [failed], "an orphan of that build cannot write into the new one's folder"
    worker.make()
    assert worker.open() == "kept"


def test_a_build_that_never_called_make_leaves_no_trust(worker: Worker) -> None:
    worker.open()
    assert worker.open() == "new"


def test_a_kept_folder_that_is_broken_later_is_left(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    (worker.tree / "part.c").write_text("changed\n")
    worker.make(code=2)
    assert worker.open() == "new"


def test_fresh_starts_from_nothing(worker: Worker) -> None:
    worker.open()
    worker.make()
    assert worker.open(fresh=True) == "new"
    assert len(worker.kept) == 1
    assert "CC" in worker.make()


def test_no_family_keeps_nothing(worker: Worker) -> None:
    for _ in range(2):
        assert worker.open("") == "new"
        assert not worker.objects.is_symlink()
        assert "CC" in worker.make()
    assert not (worker.builder / "kept").exists()


def test_a_bounded_number_is_kept_the_oldest_goes(worker: Worker) -> None:
    for number in range(MAX_KEPT + 2):
        worker.open(f"family{number}")
        worker.make()
        os.utime(worker.objects, (number, number))
    assert worker.open("family1") == "new"
    worker.make()
    assert worker.open(f"family{MAX_KEPT + 1}") == "kept"
    assert len(worker.kept) == MAX_KEPT


def test_nearly_full_disk_keeps_only_its_own(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    for family in ("one", "two"):
        worker.open(family)
        worker.make()
    programs = worker.base / "bin"
    programs.mkdir()
    (programs / "df").write_text("#!/bin/sh\necho head of the table\necho disk 9 8 999999 99% /\n")
    (programs / "df").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    assert worker.open("two") == "kept"
    assert len(worker.kept) == 1


def test_workers_side_by_side_share_a_source(tmp_path: Path) -> None:
    one, two = Worker(tmp_path), Worker(tmp_path)
    two.base = tmp_path / "other"
    two.builder = two.base / "aarch64"
    two.build = two.builder / "build"
    two.objects = two.build / "obj"
    one.open(trees="../..")
    (tmp_path / next(tmp_path.glob("minios-src-*")) / "part.c").write_text("shared\n")
    two.open(trees="../..")
    two.make()
    assert (two.objects / "busybox").read_text() == "shared\n"


def test_sources_that_nobody_used_for_long_are_removed(worker: Worker) -> None:
    worker.base.mkdir()
    for name, marked in (("minios-src-old", True), ("minios-src-killed.7", False), ("minios-src-new", True)):
        folder = worker.base / name
        folder.mkdir()
        if marked:
            (folder / ".minios-ready").touch()
        if name != "minios-src-new":
            os.utime(folder / ".minios-ready" if marked else folder, (0, 0))
    worker.open()
    names = {path.name for path in worker.base.glob("minios-src-*")}
    assert names == {"minios-src-new", f"minios-src-{SOURCE.short}"}


def test_half_unpacked_source_does_not_count(worker: Worker) -> None:
    worker.open()
    (worker.tree / ".minios-ready").unlink()
    (worker.tree / "part.c").unlink()
    worker.open()
    assert (worker.tree / "part.c").is_file()


WRAPPER = """#!/bin/sh
{program} "$@" || exit
for inside in {base}/minios-src-*/minios-src-*; do [ ! -e "$inside" ] || : >{base}/nested; done
if [ ! -e {base}/second ]; then
    : >{base}/second
    cd {other} && sh -c "$(cat {base}/open)" {words}
fi
"""


def test_two_builders_unpack_the_same_source(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one unpacks, and is done, while the first one unpacks."""
    other = Worker(tmp_path)
    other.builder = other.base / "aarch64"
    other.build = other.builder / "build"
    for one in (worker, other):
        one.build.mkdir(parents=True)
        tarball(one.build / "source.tar.gz")
    command = BuildFolder("..", SOURCE, "f").command
    (worker.base / "open").write_text(command[2])
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("tar", "mv"):
        text = WRAPPER.format(
            program=shutil.which(name), base=worker.base, other=other.build, words=shlex.join(command[3:])
        )
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    assert "minios-folder\tnew" in worker.run(*command)
    assert (worker.base / "second").exists()
    assert (other.build / "obj").is_symlink()
    assert sorted(path.name for path in worker.tree.iterdir()) == [".minios-ready", "Makefile", "part.c"]
    assert not (worker.base / "nested").exists()


def test_damaged_source(worker: Worker) -> None:
    worker.build.mkdir(parents=True)
    (worker.build / "source.tar.gz").write_bytes(b"damaged")
    worker.run(*BuildFolder("..", SOURCE, "f").command, code=1)
    assert not (worker.base / f"minios-src-{SOURCE.short}").exists()


def test_folder_that_make_cannot_use(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "two words")
    worker.build.mkdir(parents=True)
    tarball(worker.build / "source.tar.gz")
    told = worker.run(*BuildFolder("..", SOURCE, "f").command, code=1)
    assert "make cannot use this folder's name" in told


def check(worker: Worker) -> bool:
    make = make_command(jobs=2, arch="x86_64", prefix="", ccache=False)
    words = (*make[:4], "CC=cat", *make[4:])
    return parse_checked(worker.run(*clean_check_command("x86_64", words)))


def test_kept_objects_that_are_right(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    worker.make()
    assert check(worker)
    assert worker.objects.is_symlink()
    assert not (worker.build / "clean").exists()


def test_kept_objects_that_are_wrong_are_replaced(worker: Worker) -> None:
    worker.open()
    worker.make()
    worker.open()
    worker.make()
    (worker.objects / "busybox").write_text("wrong\n")
    assert not check(worker)
    assert (worker.objects / "busybox").read_text() == "source\n"
    assert worker.kept == []
    assert worker.open() == "new"


def test_ccache_is_the_workers_own(worker: Worker) -> None:
    worker.open()
    (worker.objects / "GNUmakefile").write_text("%:\n\t@echo $(CC) in $$CCACHE_DIR\n")
    command = make_command(jobs=1, arch="x86_64", prefix="x-", ccache=True)
    environment = make_environment(epoch=7, ccache=True, compiler="gcc 12")
    done = subprocess.run(
        command,
        cwd=worker.objects,
        env={**plain_environment(), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == f"ccache x-gcc in {worker.base}/ccache"
    other = make_environment(epoch=7, ccache=True, compiler="gcc 13")
    assert environment["CCACHE_COMPILERCHECK"] != other["CCACHE_COMPILERCHECK"]


def test_strange_answers() -> None:
    with pytest.raises(MiniosError, match="did not say where"):
        parse_opened("minios-folder\tmaybe\n")
    with pytest.raises(MiniosError, match="did not say what"):
        parse_checked("")
    assert not parse_checked("minios-check\tsame\nminios-check\tdiffers\n")


def test_family_depends_on_every_part() -> None:
    assert family_of("ab", "c") != family_of("a", "bc")


def test_scripts_are_plain() -> None:
    for script in (OPEN, clean_check_command("x86_64", ())[2]):
        for bashism in ("[[", "local ", "$'", "<<<", "function "):
            assert bashism not in script
