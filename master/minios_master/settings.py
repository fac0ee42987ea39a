"""Where one master keeps its things; handed to `master.cfg` through the environment."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minios_steps.core.errors import ConfigError, MiniosError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "MINIOS_"
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Settings:
    """The folders and the port of one master.

    Args:
        config: the configuration folder.
        state: everything that is kept between runs.
        out: the OCI layout releases go to; None takes the configuration's destination.
        registry: the repository releases go to, `HOST[:PORT]/REPO`; empty takes the
            configuration's destination.
        plain_http: that registry speaks http.
        web_port: the web interface's port; 0 takes the configuration's, or a free one.
        lifeline: stop when standard input closes: the master of one `minios matrix`.
    """

    config: Path
    state: Path
    out: Path | None = None
    registry: str = ""
    plain_http: bool = False
    web_port: int = 0
    lifeline: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read `MINIOS_CONFIG`, `MINIOS_STATE` and the others that `environment` gives.

        Without them the folders `config` and `.state` of the working folder are taken.

        Raises:
            ConfigError: the port is none.
        """
        out = environment.get(_PREFIX + "OUT", "")
        return cls(
            config=Path(environment.get(_PREFIX + "CONFIG", "config")).resolve(),
            state=Path(environment.get(_PREFIX + "STATE", ".state")).resolve(),
            out=Path(out).resolve() if out else None,
            registry=environment.get(_PREFIX + "REGISTRY", ""),
            plain_http=environment.get(_PREFIX + "PLAIN_HTTP", "") == "1",
            web_port=_port(environment.get(_PREFIX + "WEB_PORT", "")),
            lifeline=environment.get(_PREFIX + "LIFELINE", "") == "1",
        )

    def environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads back as this."""
        return {
            _PREFIX + "CONFIG": str(self.config),
            _PREFIX + "STATE": str(self.state),
            _PREFIX + "OUT": str(self.out or ""),
            _PREFIX + "REGISTRY": self.registry,
            _PREFIX + "PLAIN_HTTP": "1" if self.plain_http else "",
            _PREFIX + "WEB_PORT": str(self.web_port),
            _PREFIX + "LIFELINE": "1" if self.lifeline else "",
        }

    @property
    def basedir(self) -> Path:
        """Buildbot's base folder."""
        return self.state / "master"

    @property
    def cache(self) -> Path:
        """Verified and prepared sources."""
        return self.state / "cache"

    @property
    def store(self) -> Path:
        """The candidate store."""
        return self.state / "store"

    @property
    def secrets(self) -> Path:
        """The secrets, one file each, named after them."""
        return self.state / "secrets"

    @property
    def discoveries(self) -> Path:
        """The releases that were discovered."""
        return self.state / "discovered" / "releases.json"

    @property
    def nightly(self) -> Path:
        """The last nightly's report."""
        return self.state / "nightly"

    @property
    def remote(self) -> Path:
        """Who of other machines may work here, and the keys of the gate they come in by."""
        return self.state / "remote"

    @property
    def work(self) -> Path:
        """Scratch, one folder per build."""
        return self.state / "work"


def free_port(interface: str, port: int = 0) -> int:
    """A TCP port that nobody listens on now: the one that is asked for, or any for 0.

    Raises:
        MiniosError: it is taken, or may not be used, or there is no such interface.
    """
    with socket.socket() as probe:
        # A port that a master has just left may be used again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((interface, port))
        except OSError as error:
            how = "is in use" if error.errno == errno.EADDRINUSE else "cannot be used"
            raise MiniosError(
                f"port {port} on {interface} {how}: {error.strerror}",
                hint="set web.interface and web.port in minios.yaml; port 0 takes any free one",
            ) from error
        found: int = probe.getsockname()[1]
        return found


def _port(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT):
        raise ConfigError(f"{_PREFIX}WEB_PORT: {text!r} is not a port: 0 to {_HIGHEST_PORT}")
    return int(text or "0")
