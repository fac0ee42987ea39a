#!/bin/sh
# The worker in this folder: start | stop | status | run | service systemd|init | uninstall
set -u
umask 022
home=$(cd "$(dirname "$0")" && pwd -P) || exit 1
python=$(cat "$home/python") || exit 1
PYTHONPATH=$home/agent:$home/lib
# One arena of memory is enough for one busy thread: one or two megabytes less.
MALLOC_ARENA_MAX=1
# What Python compiles it keeps in this folder, not beside the machine's own modules, where root may write.
PYTHONPYCACHEPREFIX=$home/pycache
# Python 3.7 knows no such folder, and keeps nothing.
PYTHONDONTWRITEBYTECODE=$("$python" -S -s -B -c 'import sys; print("1" * (sys.version_info < (3, 8)))')
export PYTHONPATH MALLOC_ARENA_MAX PYTHONPYCACHEPREFIX PYTHONDONTWRITEBYTECODE
pidfile=$home/pid

say() { echo "minios-worker: $*"; }
# No site packages (-S, -s): what this machine has installed is not mixed in. The worker itself runs
# without docstrings (-OO), which are two megabytes.
agent() { "$python" -S -s -m minios_worker "$@"; }

# Whether the supervisor that wrote the pid file still runs. Its number may be another's by now.
running() {
    pid=$(cat "$pidfile" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
        { [ ! -r "/proc/$pid/cmdline" ] || tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$home/minios-worker"; }
}

# Waits a while for what the master says, as a worker that is refused has not started.
start() {
    if running; then
        say "it runs already, pid $pid"
        return 0
    fi
    rm -f "$home/connected" "$home/why-it-stopped"
    nohup "$home/minios-worker" supervise >>"$home/console.log" 2>&1 </dev/null &
    tries=0
    until running || [ -s "$home/why-it-stopped" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 50 ]; then
            say "it did not start: see $home/console.log"
            return 1
        fi
        sleep 0.1
    done
    tries=0
    while running && [ ! -f "$home/connected" ] && [ $tries -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    if ! running; then
        say "it has stopped: $(cat "$home/why-it-stopped" 2>/dev/null || echo "see $home/console.log")"
        return 4
    fi
    now="and connected to the master"
    [ -f "$home/connected" ] || now="but not connected to the master yet: it goes on trying"
    say "started, pid $pid, $now; its log is $home/work/twistd.log"
}

# Ends the worker in order; one that hangs is killed, so that none is left without a supervisor.
end_child() {
    [ -n "$child" ] || return 0
    kill "$child" 2>/dev/null
    { sleep 8 && kill -9 "$child"; } 2>/dev/null &
    guard=$!
    wait "$child"
    kill "$guard" 2>/dev/null
}

# Starts the worker again when it ends, until it is stopped or refused (4).
supervise() {
    echo $$ >"$pidfile"
    child=
    trap 'end_child; rm -f "$pidfile"; exit 0' TERM INT HUP
    delay=1
    while :; do
        began=$(date +%s)
        "$python" -S -s -OO -X no_debug_ranges -m minios_worker run "$home" &
        child=$!
        wait "$child"
        code=$?
        if [ $code -eq 4 ]; then
            agent why "$home"
            break
        fi
        if [ $(($(date +%s) - began)) -gt 60 ]; then delay=1; fi
        say "the worker ended with $code; again in $delay s"
        sleep $delay &
        child=$!
        wait "$child"
        delay=$((delay * 2 > 60 ? 60 : delay * 2))
    done
    rm -f "$pidfile"
}

stop() {
    if ! running; then
        say "it does not run"
        return 0
    fi
    kill "$pid"
    tries=0
    while running; do
        tries=$((tries + 1))
        if [ $tries -eq 150 ]; then kill -9 "$pid"; fi
        sleep 0.1
    done
    rm -f "$pidfile"
    say "stopped"
}

status() {
    if running; then
        now="connected to the master"
        [ -f "$home/connected" ] || now="not connected to the master: it goes on trying"
        say "it runs, pid $pid, $now"
        return 0
    fi
    say "it does not run"
    agent why "$home"
    return 3
}

uninstall() {
    if [ ! -f "$home/.minios-worker" ]; then
        say "$home is not a worker's folder"
        return 1
    fi
    agent no-service "$home" || return 1
    stop
    rm -rf "$home"
    say "$home is gone; nothing else of it was on this machine"
}

case ${1:-} in
    start | stop | status | supervise | uninstall) "$1" ;;
    run) exec "$python" -S -s -OO -X no_debug_ranges -m minios_worker run "$home" ;;
    attach) shift && agent attach "$home" "$@" ;;
    service) agent service "$home" --kind "${2:-systemd}" ;;
    *)
        echo "usage: $0 start|stop|status|run|service systemd|service init|uninstall" >&2
        exit 2
        ;;
esac
exit
