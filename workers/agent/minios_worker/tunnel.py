"""A way to the master for a Python without TLS: `ssh` or `stunnel`, started and watched by us.

Its near end is a port on this machine's loopback. Sources: ssh(1), ssh_config(5), stunnel(8).
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from minios_worker import wire
from minios_worker.problem import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_worker.home import Attachment, Home

WAIT = 30
"""Seconds until a tunnel must be open."""
_STOP = 5
_LOOPBACK = "127.0.0.1"
_SSH = re.compile(r"ssh:(?P<to>(?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>[0-9]{1,5}))?")


class Tunnel:
    """One tunnel.

    Args:
        home: where the log, and stunnel's configuration, are written.
        attachment: which master, and `ssh:[USER@]HOST[:PORT]` or `stunnel`.

    Raises:
        WorkerError: it is of another kind, or its program is not on this machine.
    """

    def __init__(self, home: Home, attachment: Attachment) -> None:
        self._home = home
        self._to = attachment
        self._process: subprocess.Popen[bytes] | None = None
        self._trusting = False
        program = "ssh" if attachment.tunnel.startswith("ssh:") else attachment.tunnel
        if program not in ("ssh", "stunnel") or (program == "ssh" and not _SSH.fullmatch(attachment.tunnel)):
            raise WorkerError(f"--tunnel {attachment.tunnel}: should be ssh:[USER@]HOST[:PORT] or stunnel")
        found = shutil.which(program) or (shutil.which("stunnel4") if program == "stunnel" else None)
        if not found:
            raise WorkerError(f"{program} is not on this machine")
        self._program = found
        self.address = (_LOOPBACK, _free_port())

    def ensure(self) -> None:
        """Start it when it does not run."""
        if self._process is None or self._process.poll() is not None:
            with (self._home.folder / "tunnel.log").open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )

    def open(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            WorkerError: it ends, or takes too long.
        """
        self.ensure()
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(self.address, 1):
                return
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.05)
        self.close()
        raise WorkerError(f"the tunnel does not open: see {self._home.folder / 'tunnel.log'}", final=False)

    def close(self) -> None:
        """Stop it."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def trusting(self) -> Iterator[None]:
        """Open for the one question whose answer is proven by the fingerprint: who the authority is."""
        self._trusting = True
        try:
            self.open()
            yield
        finally:
            self._trusting = False
            self.close()

    @property
    def checks(self) -> bool:
        """Whether the tunnel itself must be shown the master's authority."""
        return self._to.tunnel == "stunnel"

    def _command(self) -> list[str]:
        match = _SSH.fullmatch(self._to.tunnel)
        if match:
            options = ("ExitOnForwardFailure=yes", "BatchMode=yes", "ServerAliveInterval=15")
            words = [self._program, "-N", "-T", *(word for option in options for word in ("-o", option))]
            near, far = f"{_LOOPBACK}:{self.address[1]}", f"{_LOOPBACK}:{self._to.tunnel_port}"
            port = ["-p", match["port"]] if match["port"] else []
            return [*words, *port, "-L", f"{near}:{far}", match["to"]]
        lines = [
            *("foreground = yes", "pid =", "[minios]", "client = yes"),
            f"accept = {_LOOPBACK}:{self.address[1]}",
            f"connect = {self._to.host}:{self._to.port}",
            f"sni = {wire.SERVER_NAME}",
        ]
        if not self._trusting:
            checks = f"checkHost = {wire.SERVER_NAME}"
            lines += [f"CAfile = {self._home.authority}", "verifyChain = yes", checks]
        path = self._home.folder / "stunnel.conf"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return [self._program, str(path)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
