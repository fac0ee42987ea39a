#!/bin/sh
# STAND-IN, in tests only, for an emulator of SW64: gives private copies of a program, its loader and its
# libraries alpha's machine number back, and has QEMU run them as alpha's, which they are.
#   PROGRAM [ARGUMENT…]
#   LOADER --library-path FOLDER PROGRAM [ARGUMENT…]
set -u
. "${0%/*}/../elf.sh"
qemu=$(command -v qemu-alpha-static || command -v qemu-alpha) || exit 127
room=$(mktemp -d) || exit 1
trap 'rm -rf "$room"' EXIT
trap 'exit 143' HUP INT TERM

# Only what has SW64's number is run, as by a real emulator.
turn() {
    if ! is_program "$sw64" "$1"; then
        echo "${0##*/}: $1: not a program or library of SW64" >&2
        exit 126
    fi
    cp "$1" "$room/" && chmod u+w "$room/${1##*/}" && to_alpha "$room/${1##*/}"
}

first=$1
turn "$first"
shift
if [ "${1-}" = --library-path ]; then
    for library in "$2"/*; do [ -e "$room/${library##*/}" ] || turn "$library"; done
    turn "$3"
    program=$3
    shift 3
    set -- --library-path "$room" "$room/${program##*/}" "$@"
fi
"$qemu" -L /usr/alpha-linux-gnu "$room/${first##*/}" "$@"
