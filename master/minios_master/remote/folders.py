"""Where a state folder keeps what belongs to remote workers, and the ports of its gate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from minios_master.settings import free_port
from minios_steps.core.machine_probe.store import ProbeStore

from .private import kept_secret, write_private
from .roster import Roster

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = "127.0.0.1"
_KEY_SIZE = 32


@dataclass(frozen=True)
class Ports:
    """The gate's ports: one for TLS, one plain on loopback for tunnels."""

    tls: Annotated[int, Field(gt=0, le=65535)]
    plain: Annotated[int, Field(gt=0, le=65535)]


_ADAPTER = TypeAdapter(Ports)


@dataclass(frozen=True)
class RemoteFolder:
    """The folder `remote/` of a state folder; nobody but its owner may look into it."""

    path: Path

    @property
    def keys(self) -> Path:
        """The authority's and the gate's keys."""
        return self.path / "keys"

    @property
    def roster(self) -> Roster:
        """The remote workers."""
        return Roster(self.path / "workers")

    @property
    def probes(self) -> ProbeStore:
        """What was found out about their machines."""
        return ProbeStore(self.path / "probes")

    def inner_key(self) -> bytes:
        """What Buildbot's own passwords of remote workers are made from; they never leave this machine."""
        return kept_secret(self.path / "inner.key", _KEY_SIZE)

    def ports(self, interface: str, port: int) -> Ports:
        """The gate's ports: as configured, else free ones, chosen once and kept.

        A file that is damaged is put aside, as `ports.json.damaged`, and others are chosen.

        Args:
            interface: where it listens with TLS.
            port: the configured port; 0 for any.

        Raises:
            MiniosError: no port is free.
        """
        path = self.path / "ports.json"
        kept = None
        if path.exists():
            try:
                kept = _ADAPTER.validate_json(path.read_bytes())
            except ValidationError:
                path.replace(path.with_name(f"{path.name}.damaged"))
        ports = Ports(
            port or (kept.tls if kept else free_port(interface)),
            kept.plain if kept else free_port(LOOPBACK),
        )
        if ports != kept:
            write_private(path, json.dumps(ports.__dict__).encode("utf-8"))
        return ports
