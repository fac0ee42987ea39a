"""The script that asks a machine what it can compile with.

It runs on machines that are old, new or strange, so it is POSIX sh and uses no program whose
absence it would not survive. `toolchain` reads what it prints.
"""

from __future__ import annotations

PROBE = r"""
LC_ALL=C
export LC_ALL
say() { printf '%s\t%s\n' "$1" "$2"; }
each() { while IFS= read -r line || [ -n "$line" ]; do say "$1" "$line"; done; }
first() { IFS= read -r line || [ -n "$line" ] || return 0; say "$1" "$line"; cat >/dev/null; }
have() { command -v "$1" 2>/dev/null; }
number() { "$@" 2>/dev/null </dev/null; }
checksum() { if have sha256sum >/dev/null; then sha256sum; else cksum; fi; }
limited() { if timeout 5 true 2>/dev/null; then timeout 5 "$@"; else return 1; fi; }

natives=$1 prefix=$2 cc=$3
shift 3
say minios-probe 1
machine=$(uname -m)
say uname "$machine"
say system "$(uname -s)"
say kernel "$(uname -r)"
say cores "$(number nproc || number getconf _NPROCESSORS_ONLN)"
say page_size "$(number getconf PAGESIZE)"
df -Pk . 2>/dev/null | while read -r _ _ _ free _; do say disk_kb "$free"; done
for tool in make tar gzip bzip2 gcc ccache docker; do say "$tool" "$(have "$tool")"; done
make --version 2>/dev/null </dev/null | first make_version
if have docker >/dev/null; then
    limited docker version --format '{{.Server.Version}}' 2>/dev/null </dev/null | first engine
fi
for name; do
    if path=$(have "$name"); then
        say emulator "$path"
        break
    fi
done

case ${cc:+given}" $natives " in
    given*) ;;
    *" $machine "*) cc=gcc ;;
    *) cc=${prefix:+${prefix}gcc} ;;
esac
say cc "$cc"
if [ -z "$cc" ] || ! path=$(have "$cc"); then exit 0; fi
say cc_path "$path"
"$cc" -v 2>&1 </dev/null | each cc_v
say target "$("$cc" -dumpmachine 2>/dev/null </dev/null)"
macros() { printf '#include <%s>\nminios %s\n' "$2" "$3" | "$cc" -x c -E -P - 2>/dev/null |
    while read -r mark found; do [ "$mark" != minios ] || say "$1" "$found"; done; }
macros libc_macros features.h '__GLIBC__ __GLIBC_MINOR__ __UCLIBC__'
macros linux_headers linux/version.h LINUX_VERSION_CODE
"$("$cc" -print-prog-name=ld 2>/dev/null)" -v 2>/dev/null </dev/null | first linker
for name in libc.a crt1.o libc.so.6 libc.so.6.1; do
    path=$("$cc" -print-file-name="$name" 2>/dev/null)
    case $path in
        */*) [ ! -f "$path" ] || say libc_file "$name $(checksum <"$path")" ;;
    esac
done
exit 0
"""
"""Arguments: native `uname -m` names in one word, cross prefix, a compiler to be asked instead of
the one that these two choose (or nothing), then emulator names."""
