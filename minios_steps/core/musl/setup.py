"""Putting a kit beside a worker's compiler, and probing what came of it: one script, and its reader.

The worker may be old, so it is POSIX sh. The spec file points the compiler at the kit; of the
machine's own headers only the kernel's stay visible, by links, so that nothing of glibc leaks in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from minios_steps.core.musl.kit import KIT_MARK, SPECS
from minios_steps.core.probe_script import PROBE
from minios_steps.core.toolchain import ToolchainError

if TYPE_CHECKING:
    from minios_steps.core.config.arch import Arch
    from minios_steps.core.musl.kit import MuslKit

_MARK = "minios-musl"
_COMPILER = re.compile(rf"^{_MARK}\t(/[^\t\n]{{1,4000}}-)$", re.MULTILINE)
_ANSWER = re.compile(rf"^{_MARK}\t(wanted|none|path|failed)$", re.MULTILINE)

SETUP = rf"""
LC_ALL=C
export LC_ALL
natives=$1 prefix=$2 kit=$3 triplet=$4 home=$5
say() {{ printf '{_MARK}\t%s\n' "$1"; exit 0; }}
case " $natives " in *" $(uname -m) "*) prefix= ;; esac
cc=${{prefix}}gcc
command -v "$cc" >/dev/null 2>&1 || say none
home=$(cd "$home" && pwd -P) || say failed
case $home in *[!]A-Za-z0-9_./+,:@=~[-]*) say path ;; esac

links=
for header in linux/version.h asm/types.h asm-generic/types.h mtd/mtd-abi.h; do
    found=$(printf '#include <%s>\n' "$header" | "$cc" -x c -E - 2>/dev/null |
        sed -n "s|^# [0-9]* \"\(/[^ ]*/${{header%%/*}}\)/${{header#*/}}\".*|\1|p" | head -n 1)
    [ -z "$found" ] || links="$links $found"
done
made=$home/$kit-$(printf '%s\n' "$cc" "$links" | cksum | tr -dc 0-9)
if [ -f "$made/ready" ]; then
    touch "$made/ready"
    say "$made/bin/$triplet-"
fi

packed=$home/$kit.tar.gz
[ -f "$packed" ] || say wanted
new=$made.$$
rm -rf "$new"
mkdir "$new" && cd "$new" || say failed
gzip -dc "$packed" >kit.tar && tar xf kit.tar && rm kit.tar && mv kit/* . && rmdir kit || say failed
sed "s|{KIT_MARK}|$made|g" {SPECS} >specs && mv specs {SPECS} || say failed
mkdir bin kernel && for link in $links; do ln -s "$link" kernel/ || say failed; done
for tool in ar as ld nm objcopy objdump ranlib readelf strip; do
    if path=$(command -v "$prefix$tool"); then ln -s "$path" "bin/$triplet-$tool" || say failed; fi
done
cat >"bin/$triplet-gcc" <<END && chmod 755 "bin/$triplet-gcc" && : >ready || say failed
#!/bin/sh
case \$1 in
    -print-file-name=*)
        if [ -e "$made/lib/\${{1#*=}}" ]; then
            echo "$made/lib/\${{1#*=}}"
            exit
        fi ;;
esac
exec $cc "\$@" -specs $made/{SPECS} -idirafter $made/kernel
END
cd "$home" || say failed
# Whoever is first wins; the other one's would end up inside.
[ -f "$made/ready" ] || rm -rf "$made"
mv "$new" "$made" && rm -rf "$made/${{new##*/}}" || say failed
[ -f "$made/ready" ] || say failed
rm -f "$packed"
# What no build has used for two days is of another kit or of headers that were moved.
for old in minios-musl-"$triplet"-*; do
    used=$old/ready
    [ -f "$used" ] || used=$old
    if [ -n "$(find "$used" -prune -mtime +1 2>/dev/null)" ]; then rm -rf "$old"; fi
done
say "$made/bin/$triplet-"
"""
"""Arguments: native `uname -m` names in one word, cross prefix, kit's name, triplet, folder."""

# Functions and not one text after the other: both parts end the shell that they run in.
SETUP_AND_PROBE = rf"""
set_up() (
{SETUP}
)
probe() (
{PROBE}
)
natives=$1 prefix=$2
answer=$(set_up "$natives" "$prefix" "$3" "$4" "$5")
printf '%s\n' "$answer"
newline='
'
answer=${{answer##*"$newline"}}
case $answer in
    {_MARK}[!a-z]/*-) compiler=/${{answer#*/}}gcc ;;
    {_MARK}[!a-z]none) compiler= ;;
    *) exit 0 ;;
esac
shift 5
probe "$natives" "$prefix" "$compiler" "$@"
"""
"""Arguments: those of `SETUP`, then emulator names. Without a kit the probe is not made."""


def setup_command(arch: Arch, kit: MuslKit, home: str) -> tuple[str, ...]:
    """The command that puts a kit beside the compiler for `arch`, and probes that compiler.

    Its output is for `wants_kit`, then `parse_setup`, then `toolchain.parse_probe`.

    Args:
        arch: the CPU.
        kit: what to put there.
        home: the folder where kits are, relative to where the command runs; the kit's tar is
            looked for there as `NAME.tar.gz`, and removed when it is unpacked.
    """
    return (
        "/bin/sh",
        "-c",
        SETUP_AND_PROBE,
        _MARK,
        " ".join(arch.uname),
        arch.cross_prefix,
        kit.name,
        kit.triplet,
        home,
        *arch.emulator,
    )


def wants_kit(answer: str) -> bool:
    """Whether the script says that the kit's tar has to be sent first."""
    match = _ANSWER.search(answer)
    return match is not None and match[1] == "wanted"


def parse_setup(answer: str, arch: Arch) -> str:
    """The prefix of the compiler that links musl, from what the script printed.

    Returns:
        An absolute path up to and with the dash before `gcc`; empty when the machine has no
        compiler for the arch at all, of which the probe tells more.

    Raises:
        ToolchainError: the kit could not be put there.
    """
    if match := _COMPILER.search(answer):
        return match[1]
    told = _ANSWER.search(answer)
    if told is not None and told[1] == "none":
        return ""
    if told is not None and told[1] == "path":
        raise ToolchainError(
            "make cannot use a compiler in the worker's folder: its path has a space or a special character",
            hint="use a folder with another name",
        )
    raise ToolchainError(
        f"musl could not be unpacked for {arch.name}",
        hint="see the step's log; is the disk full?",
    )
