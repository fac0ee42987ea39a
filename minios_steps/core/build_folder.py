"""Where a worker compiles: one source tree for all, and object folders that outlive a build.

A release is unpacked once into a folder whose name is the digest of what is in it, and is only
read from then on: make's objects go into a folder of their own (kbuild's `O=`). Such a folder
is kept for a family of cells, those of one source, variant, arch and compiler, so that kbuild
recompiles only what a changed symbol touches. A mark in it says that a build began and did not
end well: what has one is never used again, nor is the folder of a build that still runs on as an
orphan, as each new folder has a new name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from minios_steps.core.digest import Digest

OBJECTS = "obj"
"""The object folder of the running build, below its build folder: a link where it is a kept one."""
BUSY = ".minios-busy"
"""The mark, in an object folder."""
GENERATED = ".minios-generated"
"""In an object folder where what kbuild makes of the source tree's files is there, all of it."""
MAX_KEPT = 6
"""Object folders that a builder keeps on a worker, the last used; each has some 15 MB."""

_MARK = "minios-folder"
_LOW_DISK_KB = 1_000_000
_ANSWER = re.compile(rf"^{_MARK}\t(kept|new|wanted)$", re.MULTILINE)

OPEN = rf"""
LC_ALL=C
export LC_ALL
root=$1 name=$2 family=$3 fresh=$4
say() {{ printf '{_MARK}\t%s\n' "$1"; exit 0; }}
here=$(pwd -P) && cd "../$root" && root=$(pwd -P) || exit 1
tree=$root/$name
if [ -f "$tree/.minios-ready" ]; then
    touch "$tree/.minios-ready"
else
    [ -f "$here/source.tar.gz" ] || say wanted
    new=$tree.$$
    rm -rf "$new"
    mkdir "$new" && cd "$new" && gzip -dc "$here/source.tar.gz" >tar && tar xf tar && rm tar || exit 1
    mv busybox-*/* . && rm -rf busybox-* && : >.minios-ready && cd "$root" || exit 1
    # Whoever is first wins. With -T, of GNU and BusyBox, the other one's does not land inside, where
    # even for a moment a build that lists the tree's folders would find it.
    if [ -d "$tree" ] && [ ! -f "$tree/.minios-ready" ]; then rm -rf "$tree"; fi
    mv -T "$new" "$tree" || rm -rf "$new"
    [ -f "$tree/.minios-ready" ] || exit 1
    # A build takes hours at most: what was not used for two days is nobody's.
    for old in minios-src-*; do
        used=$old/.minios-ready
        [ -f "$used" ] || used=$old
        if [ -n "$(find "$used" -prune -mtime +1 2>/dev/null)" ]; then rm -rf "$old"; fi
    done
fi
rm -f "$here/source.tar.gz"
cd "$here" || exit 1
case $tree in *[!A-Za-z0-9_./+,:@=~[-]*) echo "make cannot use this folder's name: $tree" >&2; exit 1 ;; esac

state=new
if [ -z "$family" ]; then
    objects={OBJECTS}
    mkdir {OBJECTS} || exit 1
else
    kept=$(cd .. && pwd -P)/kept
    mkdir -p "$kept" || exit 1
    free=$(df -Pk . 2>/dev/null | while read -r _ _ _ free _; do echo "$free"; done | tail -n 1)
    for old in "$kept"/*; do
        case ${{old##*/}} in
            "$family"-*) if [ "$fresh" = 1 ] || [ -e "$old/{BUSY}" ]; then rm -rf "$old"; fi ;;
            *) if [ "${{free:-0}}" -lt {_LOW_DISK_KB} ] || [ -e "$old/{BUSY}" ]; then rm -rf "$old"; fi ;;
        esac
    done
    objects=
    for old in "$kept/$family"-*; do if [ -d "$old" ]; then objects=$old state=kept; fi; done
    if [ -z "$objects" ]; then
        objects=$kept/$family-$$
        mkdir "$objects" || exit 1
    fi
    : >"$objects/{BUSY}" && touch "$objects" && ln -s "$objects" {OBJECTS} || exit 1
    ls -1dt "$kept"/* | tail -n +{MAX_KEPT + 1} | while IFS= read -r old; do rm -rf "$old"; done
fi
# Whoever calls make there gets the release's own makefile, with all goals in one call: kbuild's
# would run two goals at once in one folder. make prefers this name to the Makefile that kbuild writes.
# Each call would read all sources for the Kbuild and Config.in files to be made of them, and each
# config goal would try out the compiler. The source of a folder never changes, so once a call
# ended well these files, and kconfig's program, are as they will always be: that goal is then said
# to be done, to kbuild's inner makefile, which is called as its outer one would, and kconfig is
# called as kbuild's makefile for it would.
cat >{OBJECTS}/GNUmakefile <<END || exit 1
tree := $tree
first := \$(firstword \$(MAKECMDGOALS))
kconfig := srctree=\$(tree) KERNELVERSION=\$\$(cat .kernelrelease) scripts/kconfig/conf
ifeq (\$(wildcard {GENERATED}),)
\$(first): ; +@\$(MAKE) --no-print-directory -C \$(tree) O=\$(CURDIR) \$(MAKECMDGOALS) && : >{GENERATED}
else ifeq (\$(MAKECMDGOALS) \$(wildcard scripts/kconfig/conf),oldconfig silentoldconfig scripts/kconfig/conf)
\$(first): ; @\$(kconfig) -o Config.in && \$(kconfig) -s Config.in
else
\$(first): ; +@\$(MAKE) --no-print-directory -f \$(tree)/Makefile KBUILD_SRC=\$(tree) KBUILD_EXTMOD= \\
    O=\$(CURDIR) -o gen_build_files \$(MAKECMDGOALS)
endif
\$(filter-out \$(first),\$(MAKECMDGOALS)): \$(first) ; @:
.PHONY: \$(MAKECMDGOALS)
END
say $state
"""
"""Arguments: the folder of source trees, relative to the builder's; the tree's name; the family, or
nothing; `1` to start from an empty folder. Runs in the build folder; `source.tar.gz` may be there."""


@dataclass(frozen=True)
class BuildFolder:
    """What `OPEN` is asked for.

    Args:
        trees: the folder where source trees are, relative to the builder's folder.
        source: the prepared source's key.
        family: of `family_of`; empty for an object folder that is not kept.
        fresh: start from an empty object folder, whatever was kept.
    """

    trees: str
    source: Digest
    family: str = ""
    fresh: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """The command that makes it, to be run in the build folder."""
        name = f"minios-src-{self.source.short}"
        return ("sh", "-c", OPEN, _MARK, self.trees, name, self.family, str(int(self.fresh)))


def family_of(*parts: str) -> str:
    """The name of a family of cells, from all that must be equal for objects to be used again."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def parse_opened(answer: str) -> str:
    """What `OPEN` printed: `wanted` (send the source and ask again), `new` or `kept` objects.

    Raises:
        MiniosError: it printed something else.
    """
    match = _ANSWER.search(answer)
    if match is None:
        raise MiniosError("the worker did not say where it will compile", hint="see the step's log")
    return match[1]
