"""The embedded master: a Buildbot in one folder, started and stopped by its pid."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import requests

from minios_steps.core.errors import MiniosError

from .api import MasterApi
from .resources import master_file
from .settings import free_port
from .state_lock import Run, StateLock

if TYPE_CHECKING:
    from minios_steps.core.config.minios import Web

    from .settings import Settings

START_SECONDS = 60
STOP_SECONDS = 20
_BUILDBOT = "import sys; from buildbot.scripts.runner import run; sys.exit(run())"
# A make that runs us must not pass its flags and job server on to the makes we run.
_TELLING = re.compile(r"^[\w.]*(?:Error|Exception): .|error while|configuration error", re.IGNORECASE)
_NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")


class EmbeddedMaster:
    """One Buildbot master of this machine.

    Args:
        settings: its folders; `web_port` 0 takes the configured port, or a free one.
        web: the configured interface and port.
    """

    def __init__(self, settings: Settings, web: Web) -> None:
        self.settings = settings
        self.interface = web.interface
        self.port = settings.web_port or web.port
        self.lock = StateLock(settings.state)
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def url(self) -> str:
        """Where the web interface answers."""
        return f"http://{self.interface}:{self.port}/"

    def start(self, kind: str) -> MasterApi:
        """Start the master and wait until it answers and its local workers are there.

        Args:
            kind: `matrix` (ends with this process) or `up` (stays).

        Raises:
            MiniosError: the state folder is in use, the port is taken, or it does not start.
        """
        self.lock.acquire()
        try:
            self._choose_port()
            self._prepare()
            self._spawn(lifeline=kind == "matrix")
            now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
            pid = self.process.pid if self.process else 0
            self.lock.announce(Run(kind, pid, self.url, now, str(self.settings.out or "")))
            api = MasterApi(self.url)
            self._wait(api)
        except BaseException:
            self.stop()
            raise
        return api

    def detach(self) -> None:
        """Leave the master running: it holds the lock now."""
        self.lock.release()

    def stop(self) -> None:
        """Stop the master and wait for it; nothing of it is left."""
        process = self.process
        if process is not None:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            else:
                process.terminate()
            _wait_or_kill(process)
            self.process = None
        self.lock.forget()
        self.lock.release()

    def _choose_port(self) -> None:
        if not self.port:
            self.port = free_port(self.interface)
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.interface, self.port))
            except OSError as error:
                raise MiniosError(
                    f"port {self.port} on {self.interface} is in use: {error.strerror}",
                    hint="set web.port in minios.yaml, or 0 for any free port",
                ) from error

    def _environment(self, *, lifeline: bool) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
        told = self.settings.environment()
        told["MINIOS_WEB_PORT"] = str(self.port)
        told["MINIOS_LIFELINE"] = "1" if lifeline else ""
        return {**kept, **told, "MINIOS_BASEDIR": str(self.settings.basedir)}

    def _prepare(self) -> None:
        """Link the ready master into its base folder and make the database, once."""
        basedir = self.settings.basedir
        basedir.mkdir(parents=True, exist_ok=True)
        for name in ("master.cfg", "buildbot.tac"):
            link = basedir / name
            link.unlink(missing_ok=True)
            link.symlink_to(master_file(name))
        # We hold the lock, so whatever pid stands there is not a master of this folder.
        (basedir / "twistd.pid").unlink(missing_ok=True)
        if (basedir / "state.sqlite").exists() and (basedir / ".upgraded").exists():
            return
        done = subprocess.run(
            [sys.executable, "-c", _BUILDBOT, "upgrade-master", "--quiet", str(basedir)],
            env=self._environment(lifeline=False),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise MiniosError(
                f"the master's database cannot be made in {basedir}",
                hint="is the disk full, or the folder not writable?",
                details=done.stdout + done.stderr,
            )
        (basedir / ".upgraded").touch()

    def _spawn(self, *, lifeline: bool) -> None:
        basedir = self.settings.basedir
        log = basedir / "twistd.log"
        self._log_start = log.stat().st_size if log.exists() else 0
        with (basedir / "console.log").open("wb") as console:
            # Its own session: Ctrl-C goes to this process, which then stops the master in order.
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BUILDBOT, "start", "--nodaemon", str(basedir)],
                env=self._environment(lifeline=lifeline),
                cwd=basedir,
                stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self.lock.descriptor,),
            )

    def _wait(self, api: MasterApi) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise MiniosError(
                    f"the master did not start: {self._last_words()}",
                    hint=f"see {self.settings.basedir / 'twistd.log'}",
                )
            with contextlib.suppress(requests.RequestException, MiniosError):
                if api.is_ready():
                    return
            time.sleep(0.05)
        raise MiniosError(
            f"the master did not answer within {START_SECONDS} s",
            hint=f"see {self.settings.basedir / 'twistd.log'}",
        )

    def _last_words(self) -> str:
        """The line of this start's log that says most: Buildbot logs an exception last."""
        text = ""
        for name, start in (("twistd.log", self._log_start), ("console.log", 0)):
            log = self.settings.basedir / name
            if log.exists():
                text += log.read_bytes()[start:].decode("utf-8", "replace")
        lines = [line.strip().removeprefix("builtins.") for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if _TELLING.search(line)]
        return (telling or lines or ["it said nothing"])[-1][:400]


def stop_detached(state: StateLock) -> Run | None:
    """Stop the master that `up` left running; returns what it was, None when none runs."""
    run = state.holder()
    if run is None:
        return None
    if run.kind != "up":
        raise MiniosError(
            f"a minios matrix (pid {run.pid}) runs here, not a master that was brought up",
            hint="press Ctrl-C where it runs",
        )
    os.kill(run.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while state.holder() is not None:
        if time.monotonic() > deadline:
            os.kill(run.pid, signal.SIGKILL)
            break
        time.sleep(0.05)
    state.forget()
    return run


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    """Give a process time to end by itself, then insist."""
    for insist in (process.terminate, process.kill):
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            insist()
        else:
            return
    process.wait()
