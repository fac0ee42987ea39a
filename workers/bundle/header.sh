#!/bin/sh
# minios worker bundle: attaches this machine to a minios master.
#
#   sh @FILE@ --invite TOKEN [--dir DIR] [--service systemd|init] [--tunnel ssh:[USER@]HOST|stunnel]
#   sh @FILE@ --check        look whether this machine can build, and write nothing
#   sh @FILE@ --uninstall    stop the worker and remove its folder
#
# Everything is written into one folder (--dir; else ~/minios-worker). PYTHON names the interpreter.
# --invite - reads the invite from standard input. Below the text is a tar.gz, checked by its sha256.
set -u
umask 022
sha256=@SHA256@
size=@SIZE@
oldest=@OLDEST@
below=@BELOW@
# Python writes nothing beside the machine's own modules, where root may.
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

say() { echo "minios-worker: $*"; }
die() {
    say "$*" >&2
    exit 1
}

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit "$1"
}

# An interpreter of the versions that the packages inside are for.
find_python() {
    for python in ${PYTHON:-} python3 python3.7 python3.8 python3.9 python3.10 python3.11 python3.12 python3.13; do
        if "$python" -c "import sys; v = sys.version_info; sys.exit(not ($oldest <= v < $below))" 2>/dev/null; then
            python=$(command -v "$python")
            return
        fi
        [ "$python" != "${PYTHON:-}" ] || die "PYTHON=$PYTHON is not in the range $oldest to below $below"
    done
    die "no Python from $oldest to below $below here; another bundle may be for the one you have"
}

payload() { tail -c "$size" "$self"; }

# The whole file must have arrived, and be what was made.
check_payload() {
    found=$("$python" -c '
import hashlib, sys
with open(sys.argv[1], "rb") as stream:
    stream.seek(0, 2)
    if stream.tell() < int(sys.argv[2]):
        sys.exit("short")
    stream.seek(-int(sys.argv[2]), 2)
    print(hashlib.sha256(stream.read()).hexdigest())
' "$self" "$size" 2>/dev/null)
    [ "$found" = "$sha256" ] || die "this file is damaged: copy it again"
}

# Only what this machine runs to unpack itself, before its own check can run.
unpack() {
    for tool in tar gzip tail; do
        command -v $tool >/dev/null || die "missing: $tool"
    done
    if [ -e "$dir" ] && [ ! -f "$dir/.minios-worker" ] && [ -n "$(ls -A "$dir" 2>/dev/null)" ]; then
        die "$dir is not empty, and not a worker's folder: choose another --dir"
    fi
    if [ -x "$dir/minios-worker" ]; then
        "$dir/minios-worker" status >/dev/null && ran=yes
        "$dir/minios-worker" stop >/dev/null
    fi
    # One that was never attached is there for nothing, whenever it was made.
    if [ ! -d "$dir" ]; then
        made=folder
    elif [ ! -f "$dir/.minios-worker" ]; then
        made=files
    elif [ ! -f "$dir/worker.json" ]; then
        made=folder
    fi
    mkdir -p "$dir" || die "$dir cannot be made"
    dir=$(cd "$dir" && pwd -P)
    rm -rf "$dir/lib" "$dir/agent" "$dir/units"
    payload | gzip -dc | (cd "$dir" && tar -xf -) || die "unpacking into $dir failed: is the disk full?"
    echo "$python" >"$dir/python"
}

# Ends with a code. Where nothing can come of it (4), what was unpacked for it goes again; a worker
# that was there before is as it was.
give_up() {
    # A master that did not answer may know its password by now.
    [ ! -f "$dir/invited.json" ] || made=''
    if [ "$1" -eq 4 ] && [ "$made" = folder ]; then
        rm -rf "$dir"
    elif [ "$1" -eq 4 ] && [ "$made" = files ]; then
        rm -rf "$dir"/* "$dir"/.[!.]*
    elif [ -n "$ran" ]; then
        say "the worker that is in $dir stays as it was" >&2
        "$dir/minios-worker" start
    fi
    exit "$1"
}

main() {
    self=$0 made='' ran=''
    dir=${HOME:-/opt}/minios-worker invite= service= tunnel= action=attach
    while [ $# -gt 0 ]; do
        case $1 in
            --invite | --dir | --service | --tunnel)
                [ $# -gt 1 ] || usage 2 >&2
                case $1 in
                    --invite) invite=$2 ;;
                    --dir) dir=$2 ;;
                    --service) service=$2 ;;
                    --tunnel) tunnel=$2 ;;
                esac
                shift 2
                ;;
            --uninstall) action=uninstall && shift ;;
            --check) action=check && shift ;;
            -h | --help) usage 0 ;;
            *) usage 2 >&2 ;;
        esac
    done
    case $service in '' | systemd | init) ;; *) die "--service $service: should be systemd or init" ;; esac
    if [ $action = uninstall ]; then
        [ -x "$dir/minios-worker" ] || die "there is no worker in $dir"
        exec "$dir/minios-worker" uninstall
    fi
    find_python
    check_payload
    if [ $action = check ]; then
        scratch=$(mktemp -d) || die "no folder for scratch"
        trap 'rm -rf "$scratch"' EXIT
        payload | gzip -dc | (cd "$scratch" && tar -xf - agent) || die "unpacking failed"
        PYTHONPATH=$scratch/agent "$python" -S -s -m minios_worker check "$dir" || exit
        say "this machine can build; $("$python" --version)"
        exit 0
    fi
    [ -n "$invite" ] || [ -f "$dir/worker.json" ] || usage 2 >&2
    unpack
    PYTHONPATH=$dir/agent "$python" -S -s -m minios_worker check "$dir" || give_up $?
    if [ -n "$invite" ]; then
        "$dir/minios-worker" attach "--invite=$invite" "--tunnel=$tunnel" || give_up $?
    fi
    if [ -n "$service" ]; then
        "$dir/minios-worker" service "$service" || exit
    else
        "$dir/minios-worker" start || exit
    fi
    say "stop it with: $dir/minios-worker stop; remove it with: $dir/minios-worker uninstall"
}

main "$@"
exit
