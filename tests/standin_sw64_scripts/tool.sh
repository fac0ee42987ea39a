#!/bin/sh
# STAND-IN, in tests only, for a tool of SW64, of which no compiler can be had: Debian's for alpha, its
# ancestor, under another name. What is linked or stripped gets SW64's machine number; an object
# keeps alpha's, because alpha's linker reads it.
set -u
. "${0%/*}/../elf.sh"
triplet=sw_64-sunway-linux-gnu
tool=${0##*/"$triplet"-}
real=alpha-linux-gnu-$tool

output=a.out last=
for word; do
    case $last in -o) output=$word ;; esac
    last=$word
done

# Only what gcc 7 has too (its common.opt, c-family/c.opt), which is what Sunway machines come with: BusyBox's
# makefiles try an option first and do without one that is refused.
only_gcc7() {
    for word; do
        case $word in
            -Wl,* | -Wp,* | -Wa,* | -O[0-3s] | -std=gnu99) ;;
            -Wall | -Wshadow | -Wwrite-strings | -Wundef | -Wstrict-prototypes | -Wold-style-definition) ;;
            -Wunused | -Wunused-parameter | -Wunused-function | -Wunused-value) ;;
            -Wmissing-prototypes | -Wmissing-declarations | -Wdeclaration-after-statement) ;;
            -Wno-format-security | -fno-builtin-strlen | -fno-builtin-printf | -funsigned-char) ;;
            -finline-limit=* | -fomit-frame-pointer | -ffunction-sections | -fdata-sections) ;;
            -fno-guess-branch-probability | -fno-unwind-tables | -fno-asynchronous-unwind-tables) ;;
            -falign-functions=* | -falign-jumps=* | -falign-labels=* | -falign-loops=*) ;;
            -[Wf]* | -O* | -m* | -std=*)
                echo "$0: error: unrecognized command line option '$word'" >&2
                return 1
                ;;
        esac
    done
}

# What the compiler is asked about itself.
ask() {
    case $1 in
        -dumpmachine) echo "$triplet" ;;
        -v)
            echo "This is a stand-in for SW64's compiler, in tests only. It is alpha's:" >&2
            "$real" -v 2>&1 | sed "s/^Target: .*/Target: $triplet/" >&2
            ;;
        -print-file-name=*)
            file=$here/sysroot/lib/${1#*=}
            if [ -f "$file" ]; then echo "$file"; else "$real" "$1"; fi
            ;;
        -print-prog-name=*)
            file=$here/bin/$triplet-${1#*=}
            if [ -x "$file" ]; then echo "$file"; else "$real" "$1"; fi
            ;;
        *) return 1 ;;
    esac
}

case $tool in
    gcc)
        if [ $# -eq 1 ] && ask "$1"; then exit 0; fi
        only_gcc7 "$@" || exit 1
        "$real" "$@" || exit $?
        to_sw64 "$output"
        ;;
    ld)
        "$real" "$@" || exit $?
        to_sw64 "$output"
        ;;
    strip | objcopy | objdump | nm | readelf | size)
        to_alpha "$@"
        "$real" "$@"
        code=$?
        to_sw64 "$@" "$output"
        exit $code
        ;;
    *) exec "$real" "$@" ;;
esac
