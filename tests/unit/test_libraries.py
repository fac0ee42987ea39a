from __future__ import annotations

import pytest
from tinyelf import make_arch, make_elf

from minios_steps.core import libraries
from minios_steps.core.elf import read_elf
from minios_steps.core.errors import ElfError, RootfsError
from minios_steps.core.libraries import LibraryClosure

ARCH = make_arch()
LOADER = "ld-linux-x86-64.so.2"
PROGRAM = make_elf(interpreter=f"/lib64/{LOADER}", needed=["libm.so.6", "libresolv.so.2", "libc.so.6"])


def closure(program: bytes = PROGRAM) -> LibraryClosure:
    return LibraryClosure(ARCH, read_elf(program))


def test_everything_is_found_round_by_round() -> None:
    found = closure()
    assert found.loader == f"/lib64/{LOADER}"
    assert found.wanted() == (LOADER, "libm.so.6", "libresolv.so.2", "libc.so.6")
    found.add(LOADER, make_elf(soname=LOADER))
    found.add("libm.so.6", make_elf(needed=["libc.so.6", LOADER]))
    found.add("libc.so.6", make_elf(needed=[LOADER]))
    found.add("libresolv.so.2", make_elf(needed=["libdeep.so.1"]))
    assert found.wanted() == ("libdeep.so.1",)
    found.add("libdeep.so.1", make_elf(needed=["libm.so.6"]))
    assert found.wanted() == ()
    names = [library.name for library in found.libraries()]
    assert names == [LOADER, "libc.so.6", "libdeep.so.1", "libm.so.6", "libresolv.so.2"]


def test_loader_counts_under_its_soname_too() -> None:
    found = closure(make_elf(interpreter="/lib/ld-musl-x86_64.so.1", needed=["libc.so"]))
    assert found.wanted() == ("ld-musl-x86_64.so.1",)
    # Debian's has no soname.
    found.add("ld-musl-x86_64.so.1", make_elf())
    assert found.wanted() == ()
    assert [library.name for library in found.libraries()] == ["ld-musl-x86_64.so.1"]


def test_static_program_wants_nothing() -> None:
    found = closure(make_elf(kind=2))
    assert (found.wanted(), found.libraries(), found.loader) == ((), (), "")


def test_missing_library_names_who_needs_it() -> None:
    found = closure()
    found.add("libresolv.so.2", make_elf(needed=["libfoo.so.1"]))
    with pytest.raises(RootfsError, match=r"^libfoo\.so\.1 is missing: needed by libresolv\.so\.2"):
        found.missing("libfoo.so.1")
    with pytest.raises(RootfsError, match=rf"^{LOADER} is missing: needed by bin/busybox"):
        found.missing(LOADER)


def test_unfinished_closure_has_no_libraries() -> None:
    with pytest.raises(RootfsError, match="is missing: needed by bin/busybox"):
        closure().libraries()


@pytest.mark.parametrize(
    "name", ["../libc.so", "/lib/libc.so", "..", ".", "", "-rf", "a b", "a\nb", "$(id)", "ü", "x" * 200]
)
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(RootfsError, match=r"bin/busybox needs .* no plain file name"):
        closure(make_elf(interpreter="/lib/ld.so", needed=[name]))


@pytest.mark.parametrize(
    "path",
    ["ld.so", "/etc/passwd", "/lib/../etc/ld.so", "/ld.so", "/lib/", "/lib/a b", "/library/" + "x" * 200],
)
def test_loader_outside_the_library_folders_is_refused(path: str) -> None:
    with pytest.raises(RootfsError, match="in no library folder"):
        closure(make_elf(interpreter=path))


@pytest.mark.parametrize(
    "path",
    [
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld.so.1",
        "/libx32/ld-linux-x32.so.2",
        "/usr/lib/ld.so.1",
        "/lib/x86_64-linux-gnu/ld.so",
    ],
)
def test_loaders_in_the_field_are_good(path: str) -> None:
    assert closure(make_elf(interpreter=path)).loader == path


def test_libraries_without_a_loader_are_refused() -> None:
    with pytest.raises(RootfsError, match="names no loader"):
        closure(make_elf(needed=["libc.so.6"]))


def test_library_of_another_machine_is_refused() -> None:
    with pytest.raises(ElfError, match=r"libc\.so\.6: expected .* 62 .* found .* 183"):
        closure().add("libc.so.6", make_elf(183))


def test_linker_script_is_refused() -> None:
    with pytest.raises(ElfError, match=r"libc\.so\.6: not an ELF file"):
        closure().add("libc.so.6", b"/* GNU ld script */")


def test_program_as_a_library_is_refused() -> None:
    with pytest.raises(RootfsError, match=r"libc\.so\.6 is no shared library: needed by bin/busybox"):
        closure().add("libc.so.6", make_elf(kind=2))


def test_library_nobody_asked_for_is_refused() -> None:
    found = closure()
    found.add("libc.so.6", make_elf())
    for name in ("libother.so", "libc.so.6"):
        with pytest.raises(RootfsError, match="was not asked for"):
            found.add(name, make_elf())


def test_count_and_size_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RootfsError, match="more than the 64 libraries allowed"):
        closure(make_elf(interpreter="/lib/ld.so", needed=[f"lib{n}.so" for n in range(70)]))
    monkeypatch.setattr(libraries, "MAX_BYTES", 500)
    found = closure()
    with pytest.raises(RootfsError, match="more than the 500 bytes allowed, at libc"):
        found.add("libc.so.6", make_elf() + bytes(500))
