"""A service that starts the worker with the machine, and again when it ends. Only when asked for."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from minios_worker.problem import WorkerError

if TYPE_CHECKING:
    from minios_worker.home import Home

KINDS = ("systemd", "init")
_PLACES = {
    "systemd": ("/etc/systemd/system/{}.service", 0o644),
    "init": ("/etc/init.d/{}", 0o755),
}
_ENABLE = {
    "systemd": (("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", "{}.service")),
    "init": (("update-rc.d", "{}", "defaults"), ("service", "{}", "start")),
}
_DISABLE = {
    "systemd": (("systemctl", "disable", "--now", "{}.service"),),
    "init": (("service", "{}", "stop"), ("update-rc.d", "{}", "remove")),
}
_SECONDS = 60


def install(home: Home, kind: str) -> str:
    """Write the service's file and start it; returns what was done, one line each.

    Raises:
        WorkerError: not root, not attached, or there is no such folder on this machine.
    """
    attachment = home.attachment()
    if attachment is None:
        raise WorkerError("this machine was never attached: run the bundle with --invite")
    name = f"minios-worker-{attachment.name}"
    place, mode = _PLACES[kind]
    path = Path(place.format(name))
    if os.geteuid() != 0:
        raise WorkerError(f"only root can write {path}: run this line again as root")
    if not path.parent.is_dir():
        raise WorkerError(f"{path.parent} is not here: is this machine's init another one than {kind}?")
    owner = pwd.getpwuid(home.folder.stat().st_uid).pw_name
    template = (home.folder / "units" / f"minios-worker.{kind}").read_text("utf-8")
    text = template
    for key, value in (("@HOME@", str(home.folder)), ("@USER@", owner), ("@NAME@", name)):
        text = text.replace(key, value)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    _record(home).write_text(f"{kind} {name} {path}\n", "utf-8")
    return f"wrote {path}\n" + _run(_ENABLE[kind], name)


def remove(home: Home) -> str:
    """Stop the service and remove its file; returns what was done; nothing where there is none.

    Raises:
        WorkerError: not root.
    """
    try:
        kind, name, place = _record(home).read_text("utf-8").split()
    except FileNotFoundError:
        return ""
    if os.geteuid() != 0:
        raise WorkerError(f"only root can remove {place}: run this line again as root")
    told = _run(_DISABLE[kind], name)
    if Path(place).exists():
        Path(place).unlink()
    if kind == "systemd":
        told += _run((("systemctl", "daemon-reload"),), name)
    _record(home).unlink()
    return told + f"removed {place}\n"


def _record(home: Home) -> Path:
    return home.folder / "service"


def _run(commands: tuple[tuple[str, ...], ...], name: str) -> str:
    """Run what is there; what is not, or fails, is told, for the person to finish by hand."""
    told = ""
    for command in commands:
        words = [word.format(name) for word in command]
        line = " ".join(words)
        if shutil.which(words[0]) is None:
            told += f"not done, {words[0]} is not here: {line}\n"
            continue
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        what = "ran" if done.returncode == 0 else "failed ({})".format(done.stderr.strip().split("\n")[-1])
        told += f"{what}: {line}\n"
    return told
