"""An arch's file written from a probe is one that `minios check` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from probebed import DYNAMIC, PROBED, STATIC, foreign, machine

from minios_steps.core.config.load import load_project
from minios_steps.core.errors import MiniosError
from minios_steps.core.machine_probe.arch_file import arch_text
from minios_steps.core.machine_probe.facts import Machine, ProbeRecord
from minios_steps.core.machine_probe.goarch import go_name
from minios_steps.core.machine_probe.judge import judge

if TYPE_CHECKING:
    from pathlib import Path

ALPHA = {
    "compiler": "alpha-linux-gnu-gcc",
    "target": "alpha-linux-gnu",
    "static": {**STATIC, "machine": 0x9026, "alignment": 65536, "exit": "139"},
    "dynamic": {
        **DYNAMIC, "machine": 0x9026, "alignment": 65536, "interpreter": "/lib/ld-linux.so.2", "exit": "",
    },
    "emulator": "/usr/bin/qemu-alpha",
}  # fmt: skip
"""An x86_64 machine with a cross compiler."""


def written(name: str, found: Machine) -> str:
    return arch_text(
        name, ProbeRecord(worker=f"{name}-1", arch=name, attached="then", probed=PROBED, machine=found)
    )


def load(folder: Path, name: str, text: str) -> Any:
    """The arch out of the file, in a configuration of its own."""
    config = write_config(folder, {f"arches/{name}.yaml": text})
    return load_project(config).arches[name]


def test_native_machine(tmp_path: Path) -> None:
    found = foreign(22, uname="s390x", data="big", page_size=4096)
    text = written("s390x", found)
    arch = load(tmp_path, "s390x", text)
    assert judge(found, arch) == ()
    assert str(arch.platform.platform) == "linux/s390x"
    assert (arch.elf.bits, arch.elf.data, arch.elf.machines) == (64, "big", (22,))
    assert (arch.uname, arch.gnu_prefix, arch.cross_prefix) == (("s390x",), "s390x-linux-gnu-", "")
    assert (arch.page_size, arch.libc, arch.variants) == (4096, "glibc", ("static", "dynamic"))
    assert arch.loader == ("/lib/ld-s390x.so.1",)
    for told in (PROBED, "gcc 12.2.0 (s390x-linux-gnu), glibc 2.36", "Linux vendor", "decide: cross_prefix"):
        assert told in text


def test_machine_that_cross_compiles(tmp_path: Path) -> None:
    found = machine(**ALPHA)
    text = written("alpha", found)
    arch = load(tmp_path, "alpha", text)
    assert judge(found, arch) == ()
    assert (arch.uname, arch.cross_prefix) == (("alpha",), "alpha-linux-gnu-")
    # Its own pages are not the target's: what the linker aligns for is taken.
    assert arch.page_size == 65536
    assert arch.emulator == ("qemu-alpha-static", "qemu-alpha")
    assert arch.variants == ("dynamic",)
    assert "static was linked, but did not run under /usr/bin/qemu-alpha there (exit 139)" in text


def test_pages_larger_than_the_linker_knows(tmp_path: Path) -> None:
    arch = load(tmp_path, "vax", written("vax", foreign(75, uname="vax", page_size=8192)))
    assert arch.page_size == 8192


def test_name_in_go_that_nobody_knows(tmp_path: Path) -> None:
    text = written("vax", foreign(75, uname="vax"))
    assert "decide: a guess" in text
    assert load(tmp_path, "vax", text).platform.architecture == "vax"


def test_only_what_links(tmp_path: Path) -> None:
    found = foreign(22, uname="s390x", data="big", static={"problem": "cannot find -lc"})
    text = written("s390x", found)
    assert "# static is not there: cannot find -lc" in text
    assert load(tmp_path, "s390x", text).variants == ("dynamic",)


def test_numbers_of_one_cpu(tmp_path: Path) -> None:
    found = foreign(0x9916, uname="sw_64")
    arch = load(tmp_path, "sw64", written("sw64", found))
    assert (arch.elf.machines, arch.platform.architecture) == ((0x9916, 268), "sw64")
    assert arch.gnu_prefix == "sw_64-linux-gnu-"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (machine(compiler_path=""), "new-1 has no compiler: gcc is not there"),
        (
            machine(static={"problem": "a"}, dynamic={"problem": "no crt1.o"}),
            "the compiler of new-1 links no program: no crt1.o",
        ),
        (machine(libc="uclibc"), "new-1 links uclibc: glibc or musl is needed"),
        (machine(libc=""), "new-1 links an unknown C library: glibc or musl is needed"),
    ],
)
def test_machines_that_no_file_can_be_for(found: Machine, told: str) -> None:
    with pytest.raises(MiniosError) as error:
        written("new", found)
    assert error.value.what == told


def test_words_of_a_worker_stay_words(tmp_path: Path) -> None:
    evil = "x\u2028elf: {class: 32}\nkconfig: CONFIG_X=y"
    found = foreign(22, uname="s390x", data="big", uname_a=evil, emulator=evil, linker=evil)
    found = found.model_copy(update={"static": found.static.model_copy(update={"problem": evil})})
    arch = load(tmp_path, "s390x", written("s390x", found))
    assert (arch.elf.bits, arch.kconfig) == (64, "")


@pytest.mark.parametrize(
    ("elf", "uname", "name"),
    [
        ({"machine": 62}, "x86_64", ("amd64", "")),
        ({"machine": 183}, "aarch64", ("arm64", "v8")),
        ({"machine": 3, "bits": 32}, "i686", ("386", "")),
        ({"machine": 40, "bits": 32}, "armv7l", ("arm", "v7")),
        ({"machine": 40, "bits": 32}, "aarch64", ("arm", "")),
        ({"machine": 21}, "ppc64le", ("ppc64le", "")),
        ({"machine": 21, "data": "big"}, "ppc64", ("ppc64", "")),
        ({"machine": 8}, "mips64", ("mips64le", "")),
        ({"machine": 62, "bits": 32}, "x86_64", None),
        ({"machine": 75, "bits": 32}, "vax", None),
    ],
)
def test_go_names(elf: dict[str, Any], uname: str, name: tuple[str, str] | None) -> None:
    assert go_name(machine(static={**STATIC, **elf}).static, uname) == name
