"""One CPU: the model of `config/arches/NAME.yaml`, the only file a vendor adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from minios_steps.core.config.arch_name import ArchName
from minios_steps.core.config.base import Model, Name, Text, Variant
from minios_steps.core.platform import Platform

# These reach command lines on a worker.
_Command = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_/][A-Za-z0-9_./+-]*$")]
_Prefix = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_/][A-Za-z0-9_./+-]*-)?$")]
_MakeArch = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]*$")]
_Package = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?$")]
_Machine = Annotated[int, Field(ge=1, le=0xFFFF)]


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("should be a power of two")
    return value


class PlatformSpec(Model):
    """The OCI platform of the images (`GOOS`/`GOARCH`/`GOARM64`… names)."""

    os: Literal["linux"] = "linux"
    architecture: Name
    variant: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.]*$")] = ""

    @property
    def platform(self) -> Platform:
        """The same as a value that can be compared."""
        return Platform(self.os, self.architecture, self.variant)


class ElfSpec(Model):
    """What an ELF header of this CPU says (System V gABI, chapter 4)."""

    bits: Literal[32, 64] = Field(alias="class")
    data: Literal["little", "big"]
    machines: Annotated[tuple[_Machine, ...], Field(min_length=1)]


class DebianPackages(Model):
    """Debian packages that make a Debian machine able to build and test for this CPU."""

    native: tuple[_Package, ...] = ()
    cross: tuple[_Package, ...] = ()
    emulator: tuple[_Package, ...] = ()


class MuslSpec(Model):
    """Where musl for this CPU comes from: Debian's packages `musl` and `musl-dev`.

    `debian` is Debian's name of the CPU (`arm64`); `suite` the suite they are taken from, the same
    on every machine, as another musl gives other bytes.
    """

    debian: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    suite: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = "trixie"


class Arch(Model):
    """A CPU as the build sees it.

    `name` is the config name (`sw64`), equal to the file's stem; `uname` lists what
    `uname -m` prints on it; `gnu_prefix` is the GNU triplet prefix with its dash;
    `cross_prefix` the prefix of a cross compiler, empty when there is none; `make_arch`
    the value for BusyBox's `make ARCH=` where it is not the name; `loader` the glibc
    loader names seen, as paths or bare file names; `page_size` bytes, given to the linker
    as max-page-size; `libc` the C library to link, musl where `musl` says where it comes from, else
    glibc; `emulator` user-mode emulator commands, the first found is used;
    `kconfig` a fragment merged after `kconfig/arch/NAME.config`; `timeout_factor`
    multiplies the time limits of its builds; `backend` stands above that of `minios.yaml`;
    `attach` one line that says how to attach a worker.
    """

    name: ArchName
    description: str = ""
    platform: PlatformSpec
    elf: ElfSpec
    uname: Annotated[tuple[Text, ...], Field(min_length=1)]
    gnu_prefix: _Prefix
    cross_prefix: _Prefix = ""
    make_arch: _MakeArch = ""
    loader: tuple[Text, ...] = ()
    page_size: Annotated[int, Field(ge=4096, le=1 << 20), AfterValidator(_power_of_two)] = 4096
    musl: MuslSpec | None = None
    libc: Literal["glibc", "musl"] = "glibc"
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = ("static", "dynamic")
    emulator: tuple[_Command, ...] = ()
    debian: DebianPackages = DebianPackages()
    kconfig: str = ""
    timeout_factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    backend: Literal["", "oci", "docker"] = ""
    attach: Annotated[str, StringConstraints(pattern=r"^[^\n]*$")] = ""

    @model_validator(mode="before")
    @classmethod
    def _link_the_musl_that_is_named(cls, told: Any) -> Any:
        if isinstance(told, Mapping) and told.get("musl"):
            return {"libc": "musl", **told}
        return told

    def __repr__(self) -> str:
        """Short: Buildbot logs each step with all its arguments, several times."""
        return f"Arch({self.name!r})"

    @property
    def busybox_arch(self) -> str:
        """The value for BusyBox's `make ARCH=`: never left to its own `uname -m`."""
        return self.make_arch or self.name
