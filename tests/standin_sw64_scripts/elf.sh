# Part of the STAND-IN for SW64's tools, in tests only: machine numbers in ELF headers.
# Sets `here`, its folder, where `number` has SW64's e_machine as hexadecimal digits and as printf wants it.
if [ "${STANDIN_SW64_IN_TESTS-}" != yes ]; then
    echo "${0##*/}: a stand-in for minios' tests, made of alpha's tools: it knows nothing of SW64" >&2
    exit 1
fi
here=$(cd "${0%/*}/.." && pwd -P) || exit 1
read -r sw64 sw64_bytes <"$here/number"
alpha=2690 alpha_bytes='\046\220'

# is_program MACHINE FILE: whether it is a linked program or library, not an object, with that number.
# That is e_type 2 or 3 at byte 16, and e_machine at byte 18.
is_program() {
    case $1:$([ ! -f "$2" ] || od -An -v -tx1 -N20 "$2" | tr -d ' \n') in
        "$alpha":7f454c46????????????????????????0[23]00"$alpha") ;;
        "$sw64":7f454c46????????????????????????0[23]00"$sw64") ;;
        *) return 1 ;;
    esac
}

# number BYTES FILE: write another e_machine.
number() { printf "$1" | dd of="$2" bs=1 seek=18 conv=notrunc 2>/dev/null; }

to_alpha() { for one; do ! is_program "$sw64" "$one" || number "$alpha_bytes" "$one"; done; }
to_sw64() { for one; do ! is_program "$alpha" "$one" || number "$sw64_bytes" "$one"; done; }
