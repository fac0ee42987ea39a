"""How make is called to compile BusyBox: the same words for every build of a cell."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from minios_steps.core.build_folder import BUSY

if TYPE_CHECKING:
    from collections.abc import Mapping

GOALS = ("busybox", "busybox.links")

CCACHE_BYTES = 500_000_000
"""How large a worker's compiler cache may grow; a build adds some 5 MB."""

# The folder of objects is always two below the builder's, and that one below the worker's. The
# mark goes only when make ended well.
# BusyBox links with all libraries that it may need, then without one after the other, to find out
# which it does. Where the last link needed none, this one is first tried with none: when that
# succeeds, each of the others would have, and the last of them is the same link. Only a link that
# failed is worth another make: what a compiler left behind that failed might pass for an object.
_MAKE = f"""
if [ -n "$CCACHE_COMPILERCHECK" ]; then
    CCACHE_DIR=$(cd -P ../../.. && pwd -P)/ccache
    export CCACHE_DIR
fi
linked=busybox_unstripped.out
if [ -f $linked ] && ! grep -q -e ' -l' $linked; then
    rm -f $linked
    if make "$@" LDLIBS=; then rm -f {BUSY} && exit; fi
    [ -f $linked ] || exit 2
fi
make "$@" && rm -f {BUSY}
"""


# kbuild's config goals sleep a second, for file systems that cannot tell a `.config` from a header
# written in the same second; here both are written by one call, which needs no such care. It is
# the shell's `exit` that ends the goal's command before the `sleep`.
_NO_SLEEP = "MTIME_IS_COARSE=@exit 0"
_CONFIGURE = """
arch=$1
shift
yes '' | make ARCH="$arch" "$@"
"""


def configure_command(arch: str, base: str = "") -> tuple[str, ...]:
    """The command that configures, to be run in an object folder.

    `oldconfig` answers every open question of `.config` with its default, which is all that
    defconfig does; `silentoldconfig` then writes what the compiler sees of it, which make would
    otherwise do before it compiles, at the price of a second start.

    Args:
        arch: the value of `make ARCH=`.
        base: another goal than these two.
    """
    goals = (base,) if base else ("oldconfig", "silentoldconfig")
    return ("sh", "-c", _CONFIGURE, "configure", arch, _NO_SLEEP, *goals)


def make_command(*, jobs: int, arch: str, prefix: str, ccache: bool) -> tuple[str, ...]:
    """The command that compiles, to be run in an object folder.

    Args:
        jobs: `make -j`.
        arch: the value of `make ARCH=`.
        prefix: the compiler's prefix.
        ccache: whether the compiler is called through ccache.
    """
    compiler = (f"CC=ccache {prefix}gcc",) if ccache else ()
    options = (f"-j{jobs}", f"ARCH={arch}", f"CROSS_COMPILE={prefix}", *compiler)
    return ("sh", "-c", _MAKE, "make", *options, *GOALS)


def make_environment(*, epoch: int, ccache: bool, compiler: str) -> Mapping[str, str]:
    """The environment that belongs to it.

    ccache is told that the compiler is the one whose identity it is given (it would look at the
    file, which may be a script), and that times do not matter: kbuild's generated headers
    are always new, and no source says `__TIME__` with SOURCE_DATE_EPOCH set. With these each hit
    is a direct one (ccache manual, "Configuration options").

    Args:
        epoch: `SOURCE_DATE_EPOCH`, seconds.
        ccache: whether the compiler is called through ccache.
        compiler: its identity.
    """
    plain = {"KCONFIG_NOTIMESTAMP": "1", "SOURCE_DATE_EPOCH": str(epoch)}
    if not ccache:
        return plain
    return {
        **plain,
        "CCACHE_COMPILERCHECK": f"string:{hashlib.sha256(compiler.encode()).hexdigest()}",
        "CCACHE_MAXSIZE": str(CCACHE_BYTES),
        "CCACHE_SLOPPINESS": "time_macros,include_file_mtime,include_file_ctime",
    }
