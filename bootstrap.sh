#!/bin/sh
# Makes this checkout ready to use, and does nothing when it is ready.
#
#   ./bootstrap.sh venv    .venv with minios and its development tools
#   ./bootstrap.sh build   the same, and the Debian packages that the configured CPUs need
#   ./bootstrap.sh test    the same, and tests/packages.txt
#
# Packages are installed when run by root on Debian; else the line that does it is printed.
# PYTHON names the interpreter to use; 3.10 or newer.
set -eu
cd "$(dirname "$0")"
venv=.venv
mode=${1:-build}

say() { echo "bootstrap: $*" >&2; }
die() { say "$*"; exit 1; }

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

# Names of the packages among the arguments that are not installed.
not_installed() {
    for package; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
        [ "$state" = installed ] || echo "$package"
    done
}

# Installs packages as root; else ends with the line that does it.
need_packages() {
    if ! command -v apt-get >/dev/null; then
        die "no apt-get here; install what Debian calls: $*"
    fi
    line="apt-get install -y --no-install-recommends $*"
    [ "$(id -u)" = 0 ] || die "packages are missing. Run this, then try again:
  sudo $line"
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    # A fresh image has no package lists, and old lists name files that are gone.
    ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get -q update >&2
    # shellcheck disable=SC2086  # words on purpose
    $line -q >&2 || { apt-get -q update >&2 && $line -q >&2; } || die "this failed: $line"
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        recent "$PYTHON" || die "PYTHON=$PYTHON is not Python 3.10 or newer"
        python=$PYTHON
        return
    fi
    command -v python3 >/dev/null || need_packages python3 python3-venv
    for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        if recent "$python"; then return; fi
    done
    die "Python 3.10 or newer is needed, python3 here is $(python3 --version 2>&1).
  Install one and run: make PYTHON=/path/to/python3 ..."
}

make_venv() {
    wanted=$(cat setup.py pyproject.toml | cksum)" ${PYTHON:-} $(pwd)"
    if [ -x $venv/bin/minios ] && [ "$(cat $venv/.ready 2>/dev/null)" = "$wanted" ]; then return; fi
    choose_python
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        need_packages "$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    fi
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' ||
        die "pip could not install minios and what it needs (see above)"
    echo "$wanted" >$venv/.ready
}

# What the configured CPUs need is in their files, and minios reads those.
build_packages() {
    wanted=$(cat config/minios.yaml config/arches/*.yaml | cksum)
    if [ "$(cat $venv/.packages 2>/dev/null)" = "$wanted" ]; then return; fi
    install=
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then install=--install; fi
    $venv/bin/minios doctor --config config $install >&2 || die "this machine cannot build every required CPU (see above)"
    echo "$wanted" >$venv/.packages
}

test_packages() {
    command -v dpkg-query >/dev/null || { say "not Debian: tests whose tools are missing may fail"; return; }
    # shellcheck disable=SC2046  # words on purpose
    missing=$(not_installed $(sed 's/#.*//' tests/packages.txt))
    # shellcheck disable=SC2086
    [ -z "$missing" ] || need_packages $missing
}

case $mode in
    venv) make_venv ;;
    build)
        make_venv
        build_packages
        ;;
    test)
        make_venv
        build_packages
        test_packages
        ;;
    *) die "unknown: $mode (venv, build or test)" ;;
esac
