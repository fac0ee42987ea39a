"""The machine that a bench ran on, in a few lines."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path


def describe() -> tuple[str, ...]:
    """CPU, memory and system; then compilers and versions; then how busy it was, as text for people."""
    system = Path("/etc/debian_version")
    debian = f"Debian {system.read_text('utf-8').strip()}, " if system.exists() else ""
    versions = [f"{name} {metadata.version(name)}" for name in ("buildbot", "Twisted", "SQLAlchemy")]
    memory = int(_field("/proc/meminfo", "MemTotal").split()[0]) / 1e6
    machine = (
        _field("/proc/cpuinfo", "model name") or platform.machine(),
        f"{os.cpu_count()} cores",
        f"{memory:.0f} GB of memory",
        f"{debian}Linux {platform.release()}",
    )
    programs = (_first_line("gcc", "--version"), _first_line("qemu-aarch64-static", "--version"))
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        ", ".join(machine),
        ", ".join((*programs, f"Python {platform.python_version()}", *versions)),
        f"load average before: {load}",
    )


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return f"no {command[0]}"
    return done.stdout.partition("\n")[0].strip()
