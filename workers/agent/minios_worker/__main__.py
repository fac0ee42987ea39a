"""`python -m minios_worker COMMAND HOME …`, as `minios-worker` and the bundle call it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from minios_worker import machine, service
from minios_worker.attach import attach
from minios_worker.home import Home
from minios_worker.invite import parse
from minios_worker.problem import WorkerError
from minios_worker.run import REFUSED, run

_AGAIN = "this invite was used here before: the worker that it made stays, and is started again\n"


def main() -> int:
    """Do one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="minios-worker")
    parser.add_argument("command", choices=("check", "attach", "run", "why", "service", "no-service"))
    parser.add_argument("home")
    parser.add_argument("--invite", default="")
    parser.add_argument("--tunnel", default="")
    parser.add_argument("--kind", choices=service.KINDS, default="systemd")
    told = parser.parse_args()
    home = Home(Path(told.home).resolve())
    try:
        return _do(told, home)
    except WorkerError as problem:
        sys.stderr.write(f"minios-worker: {problem}\n")
        return REFUSED if problem.final else 1


def _do(told: argparse.Namespace, home: Home) -> int:
    if told.command == "check":
        machine.check(home.folder)
    elif told.command == "attach":
        again = attach(home, parse(_invite(told.invite)), told.tunnel)
        sys.stdout.write(_AGAIN if again else "attached; the invite is used up\n")
    elif told.command == "run":
        return run(home)
    elif told.command == "why":
        sys.stdout.write(home.stopped() + "\n" if home.stopped() else "")
    elif told.command == "service":
        sys.stdout.write(service.install(home, told.kind))
    else:
        sys.stdout.write(service.remove(home))
    return 0


def _invite(text: str) -> str:
    """An invite is short-lived, but who wants it in no list of processes gives it by standard input."""
    return sys.stdin.readline() if text == "-" else text


sys.exit(main())
