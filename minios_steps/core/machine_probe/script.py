"""The script that has a machine link two programs, and tells what else a build there meets.

As `probe_script`, which is run before it: POSIX sh for machines that are old, new or strange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = "minios-machine"
STATIC = "minios-static"
DYNAMIC = "minios-dynamic"
"""The programs that the script leaves in its folder, where they could be linked."""

_SCRIPT = r"""
LC_ALL=C
export LC_ALL
say() { printf '%s\t%s\n' "$1" "$2"; }
first() { IFS= read -r line || [ -n "$line" ] || return 0; say "$1" "$line"; cat >/dev/null; }
last() { tail -n 1 "$2" 2>/dev/null | first "$1"; }
limited() { if timeout 10 true 2>/dev/null; then timeout 10 "$@"; else return 125; fi; }

cc=$1 strip=$2
shift 2
say minios-machine 1
say uname_a "$(uname -a)"
head -n 40 /proc/cpuinfo 2>/dev/null | while IFS= read -r line && [ -n "$line" ]; do say cpu "$line"; done
case $(printf '\001\000' | od -An -tx2 2>/dev/null) in
    *0001*) say byte_order little ;;
    *0100*) say byte_order big ;;
esac
for tool in tar gzip bzip2 python3; do
    if command -v "$tool" >/dev/null; then "$tool" --version 2>&1 </dev/null | first "${tool}_version"; fi
done
rm -f minios-static minios-dynamic minios-probe.c minios-probe.err
[ -n "$cc" ] || exit 0
"$cc" -dumpfullversion 2>/dev/null </dev/null | first full_version
if command -v "$strip" >/dev/null; then say strip "$strip"; fi
cat >minios-probe.c <<'END'
#include <stdio.h>
int main(void) { return puts("minios") < 0; }
END
link() {
    name=$1
    shift
    if ! "$cc" "$@" -o "$name" minios-probe.c >minios-probe.err 2>&1 </dev/null; then
        last "$name-problem" minios-probe.err
        rm -f "$name"
    elif command -v "$strip" >/dev/null && ! "$strip" "$name" >minios-probe.err 2>&1; then
        last "$name-problem" minios-probe.err
    fi
    [ -f "$name" ] && say "$name" linked
}
run() {
    name=$1
    shift
    [ -f "$name" ] || return 0
    limited "$@" "./$name" >minios-probe.err 2>/dev/null </dev/null
    code=$?
    [ $code -ne 0 ] || [ "$(cat minios-probe.err)" = minios ] || code=1
    say "$name-exit" $code
}
link minios-static -static && run minios-static "$@"
link minios-dynamic && { [ $# -ne 0 ] || run minios-dynamic; }
rm -f minios-probe.c minios-probe.err
exit 0
"""


def links_command(compiler: str, emulator: str = "") -> Sequence[str]:
    """The command that runs the script.

    Args:
        compiler: what to link with; empty where there is none.
        emulator: what runs the static program; without one both are run as they are.
    """
    prefix = compiler.removesuffix("gcc").removesuffix("cc")
    more = (emulator,) if emulator else ()
    return ("/bin/sh", "-c", _SCRIPT, MARK, compiler, f"{prefix}strip" if compiler else "", *more)


def emulators_of(prefix: str) -> tuple[str, ...]:
    """What QEMU's user-mode emulators for the CPU of a compiler's prefix are called."""
    cpu = prefix.rpartition("/")[2].partition("-")[0]
    return f"qemu-{cpu}-static", f"qemu-{cpu}"
