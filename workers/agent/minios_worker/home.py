"""The one folder that the worker lives in, and what it keeps there."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from minios_worker.problem import WorkerError

if TYPE_CHECKING:
    from pathlib import Path


class Attachment(NamedTuple):
    """What this machine knows of its master.

    `password` is this worker's own; `tunnel` is empty, `ssh:USER@HOST` or `stunnel`; `invite` is the
    sha256 of the secret that was exchanged for the password, in hexadecimal.
    """

    host: str
    port: int
    tunnel_port: int
    fingerprint: str
    name: str
    password: str
    tunnel: str
    invite: str = ""


class Home:
    """The folder.

    Args:
        folder: where the bundle was unpacked.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def basedir(self) -> Path:
        """Buildbot's base folder: `buildbot.tac`, the log, a folder for each builder."""
        return self.folder / "work"

    @property
    def tac(self) -> Path:
        """What starts the worker."""
        return self.basedir / "buildbot.tac"

    @property
    def log(self) -> Path:
        """The worker's log."""
        return self.basedir / "twistd.log"

    @property
    def authority(self) -> Path:
        """The master's certificate, as it was when the invite's fingerprint fitted it."""
        return self.folder / "ca.pem"

    @property
    def _attachment(self) -> Path:
        return self.folder / "worker.json"

    @property
    def _expected(self) -> Path:
        return self.folder / "invited.json"

    @property
    def _why(self) -> Path:
        return self.folder / "why-it-stopped"

    @property
    def _connected(self) -> Path:
        return self.folder / "connected"

    def attachment(self) -> Attachment | None:
        """What was kept; None on a machine that was never attached.

        Raises:
            WorkerError: the file is damaged.
        """
        return _read(self._attachment)

    def expected(self) -> Attachment | None:
        """What was asked for last and has had no answer yet; None where there is no such thing.

        Raises:
            WorkerError: the file is damaged.
        """
        return _read(self._expected)

    def expect(self, attachment: Attachment) -> None:
        """Write down what the master is about to be asked for, beside what this machine has now."""
        write_private(self._expected, json.dumps(attachment._asdict()))

    def forget_expected(self) -> None:
        """The master has refused it."""
        with contextlib.suppress(FileNotFoundError):
            self._expected.unlink()

    def keep(self, attachment: Attachment) -> None:
        """Write it down, readable by nobody else; it is not only expected any more."""
        write_private(self._attachment, json.dumps(attachment._asdict()))
        self.forget_expected()

    def stopped(self) -> str:
        """Why the worker gave up; empty when it did not."""
        with contextlib.suppress(OSError):
            return self._why.read_text("utf-8").strip()
        return ""

    def tell_why(self, text: str) -> None:
        """Keep why the worker gave up; an empty text forgets it."""
        if text:
            self._why.write_text(text + "\n", "utf-8")
        else:
            with contextlib.suppress(FileNotFoundError):
                self._why.unlink()

    def tell_connected(self, *, connected: bool) -> None:
        """Keep whether the master has let the worker in, for whoever starts it or asks for its status."""
        # A full disk must not keep a worker from the master.
        with contextlib.suppress(OSError):
            if connected:
                self._connected.touch()
            else:
                self._connected.unlink()

    def write_base(self, files: dict[str, str]) -> None:
        """Make the base folder with some files in it."""
        for name, text in files.items():
            path = self.basedir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def _read(path: Path) -> Attachment | None:
    try:
        return Attachment(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise WorkerError(f"{path} is damaged: uninstall, and ask for a new invite") from error


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, with mode 0600 from its first byte on."""
    temporary = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(path)
