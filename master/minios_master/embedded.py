"""The embedded master: a Buildbot in one folder, started and stopped by its pid."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError

from .api import MasterApi, NoAnswerError
from .printable import printable
from .resources import master_file
from .session import kill_session
from .settings import free_port
from .signals import held_back
from .state_lock import Run, StateLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from minios_steps.core.config.minios import Web

    from .settings import Settings

START_SECONDS = 60
STOP_SECONDS = 20
"""How long builds may take to end in order."""
_INSIST_SECONDS = 3
POLL_SECONDS = 0.05
_DEATH_SECONDS = 1
_BUILDBOT = "import sys; from buildbot.scripts.runner import run; sys.exit(run())"
_TELLING = re.compile(r"^[\w.]*(?:Error|Exception): .|error while|configuration error", re.IGNORECASE)
# A make that runs us must not pass its flags and job server on to the makes we run.
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
            self.port = free_port(self.interface, self.port)
            self._prepare()
            self._spawn(lifeline=kind == "matrix")
            self._announce(kind)
            api = MasterApi(self.url)
            wait_until_ready(api, self._check_alive, f"see {self.log}")
        except BaseException:
            self.stop()
            raise
        return api

    def detach(self) -> None:
        """Leave the master running: it holds the lock now."""
        self.lock.release()

    def stop(self) -> None:
        """Stop the master and wait for it; nothing of it is left. Interrupted, it hurries, then raises."""
        process, self.process = self.process, None
        try:
            if process is not None:
                if process.stdin is not None:
                    with contextlib.suppress(OSError):
                        process.stdin.close()
                else:
                    process.terminate()
                _wait_or_kill(process)
        finally:
            if process is not None:
                kill_session(process.pid)
            self.lock.forget()
            self.lock.release()

    def explain(self, error: NoAnswerError) -> MiniosError:
        """Why a master that was started does not answer any more."""
        how = error.what
        if self.process is not None:
            # It may be about to end: its connections are closed before it is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                how = f"the master ended in the middle: {self._how(self.process.wait(_DEATH_SECONDS))}"
        return MiniosError(how, hint=f"see {self.log}", details=error.details)

    @property
    def log(self) -> Path:
        """The master's own log."""
        return self.settings.basedir / "twistd.log"

    def _announce(self, kind: str) -> None:
        if self.process is None:
            return
        now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        # A run is ended by its command; what was brought up by its master.
        pid = self.process.pid if kind == "up" else os.getpid()
        settings = self.settings
        self.lock.announce(
            Run(kind, pid, self.url, now, str(settings.config), str(settings.out or settings.registry))
        )

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
        # Another release of Buildbot may need another database.
        upgraded = basedir / ".upgraded"
        release = metadata.version("buildbot")
        known = upgraded.read_text("utf-8") if upgraded.exists() else ""
        if (basedir / "state.sqlite").exists() and known == release:
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
            said = done.stdout + done.stderr
            raise MiniosError(
                f"the master's database cannot be made in {basedir}: {_telling_line(said)}",
                hint="is the disk full, or the folder not writable?",
                details=said,
            )
        upgraded.write_text(release, "utf-8")

    def _spawn(self, *, lifeline: bool) -> None:
        basedir = self.settings.basedir
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with (basedir / "console.log").open("wb") as console, held_back():
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

    def _check_alive(self) -> None:
        """Raise `MiniosError` when the master has ended while it was starting."""
        if self.process is None or self.process.poll() is None:
            return
        raise MiniosError(
            f"the master did not start: {self._how(self.process.returncode)}", hint=f"see {self.log}"
        )

    def _how(self, code: int) -> str:
        """Why it ended: a signal, or its last words."""
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return self._last_words() if code else "somebody stopped it"

    def _last_words(self) -> str:
        """The line of this start's log that says most: Buildbot logs an exception last."""
        text = ""
        for log, start in ((self.log, self._log_start), (self.settings.basedir / "console.log", 0)):
            if log.exists():
                text += log.read_bytes()[start:].decode("utf-8", "replace")
        return _telling_line(text)


def wait_until_ready(api: MasterApi, check: Callable[[], None], hint: str) -> None:
    """Wait until a master that is starting answers and its local workers are there.

    Args:
        api: the master.
        check: called again and again; raises when there is nothing to wait for.
        hint: what to do when it takes too long.

    Raises:
        MiniosError: it is not ready after `START_SECONDS`.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        check()
        with contextlib.suppress(MiniosError):
            if api.is_ready():
                return
        time.sleep(POLL_SECONDS)
    raise MiniosError(f"the master did not answer within {START_SECONDS} s", hint=hint)


def _telling_line(text: str) -> str:
    """The last line of a log that names an error, else its last line."""
    lines = [line.strip().removeprefix("builtins.") for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return printable((telling or lines or ["it said nothing"])[-1][:400])


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    """Give a process time to end by itself, then insist; at once when somebody is impatient."""
    impatience: BaseException | None = None
    for seconds, insist in ((STOP_SECONDS, process.terminate), (_INSIST_SECONDS, process.kill)):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            insist()
        except (KeyboardInterrupt, SystemExit) as error:
            impatience = error
            insist()
        else:
            break
    else:
        process.wait()
    if impatience is not None:
        raise impatience
