"""A vendor's old machine, a master on another one, and the wires between them."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

from hostbed import Host, Switch
from minios_master.api import MasterApi
from standin_sw64 import GUARD
from userland import Minios, seed_kits
from workerbed import Machine, make_bundle

if TYPE_CHECKING:
    from pathlib import Path

BUNDLE = "minios-worker-python3.7.run"
_BARE = ("env", "--ignore-environment", "HOME=/root")
_PATH = "/usr/local/bin:/usr/bin:/bin"

_Host = TypeVar("_Host", bound=Host)


class VendorHost(Host):
    """An old system as it was made; what is written to it is in memory, and gone with it.

    Args:
        system: the root of the old system, which is only read.
        folder: an empty one, where the host's root is mounted for nobody but the host.
    """

    def __init__(self, system: Path, folder: Path) -> None:
        super().__init__()
        self._at = f"{folder}/root"
        below, above, work = system, f"{folder}/above", f"{folder}/work"
        self.run("mount", "-t", "tmpfs", "vendor", str(folder))
        self.run("mkdir", above, work, self._at)
        layers = f"lowerdir={below},upperdir={above},workdir={work}"
        self.run("mount", "-t", "overlay", "vendor", self._at, "-o", layers)
        self.run("mount", "-t", "proc", "proc", f"{self._at}/proc")
        self.root = self.path(self._at)

    def machine(self, name: str, path: str = "") -> Machine:
        """A folder on it, with nothing but the bundle in it.

        Args:
            name: of the folder.
            path: a folder of programs that is first on its `PATH`, and was made for these tests.
        """
        folder = self.root / "home" / name
        folder.mkdir()
        make_bundle("3.7", folder / BUNDLE)
        bare = [*_BARE, f"PATH={path}:{_PATH}", f"{GUARD}=yes"] if path else [*_BARE, f"PATH={_PATH}"]
        return Machine(folder, (*self.enter, "chroot", self._at, *bare), f"/home/{name}")

    def programs(self) -> set[str]:
        """What runs there now, by name."""
        found = set()
        for path in self.path("/proc").glob("[0-9]*/comm"):
            # It may have ended meanwhile.
            with contextlib.suppress(OSError):
                found.add(path.read_text("utf-8").strip())
        return found

    def files(self) -> set[Path]:
        """Every file there, but what the kernel shows."""
        depth = len(self.root.parts)
        return {path for path in self.root.rglob("*") if path.parts[depth] != "proc"}


class HostedMinios(Minios):
    """The command line, run on a host that has no other machine's network.

    Args:
        config: the configuration folder.
        folder: where state and output are.
        host: the host.
    """

    def __init__(self, config: Path, folder: Path, host: Host) -> None:
        super().__init__(config, folder)
        self.host = host

    def command(self, *words: str) -> list[str]:
        """The whole command line; entering a host leaves the working folder."""
        return [*self.host.enter, "env", "-C", str(self.folder), *super().command(*words)]

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """What the running master answers to a GET below `/api/v2/`."""
        told = json.loads((self.state / "run.json").read_text("utf-8"))
        with self.host.network():
            return MasterApi(told["url"]).get(path, **query)

    def runs(self, arch: str, step: str) -> bool:
        """Whether a build of an arch is in the middle of a step."""
        for build in self.get("builds", complete="false")["builds"]:
            builder = self.get(f"builders/{build['builderid']}")["builders"][0]
            steps = self.get(f"builds/{build['buildid']}/steps")["steps"] if builder["name"] == arch else []
            if any(one["name"] == step and one["started_at"] and not one["complete"] for one in steps):
                return True
        return False


class Wires:
    """The two hosts, connected to each other and to nothing else.

    Args:
        system: the root of the vendor's old system.
        folder: a test's own.
    """

    MASTER = "192.0.2.1"
    """Of a network that is for documentation (RFC 5737): nobody has it."""

    def __init__(self, system: Path, folder: Path) -> None:
        at = folder / "vendor"
        at.mkdir()
        self._hosts: list[Host] = []
        self.switch = self._switched_on(Switch())
        self.master = self._switched_on(Host())
        self.vendor = self._switched_on(VendorHost(system, at))
        self.switch.connect(self.master, f"{self.MASTER}/30")
        self.switch.connect(self.vendor, "192.0.2.2/30")

    def _switched_on(self, host: _Host) -> _Host:
        self._hosts.append(host)
        return host

    def up(self, config: Path, folder: Path, kits: Path, local: str = "") -> HostedMinios:
        """A master, on its host, that takes workers of the network.

        Args:
            config: the configuration; `workers.yaml` is rewritten.
            folder: for state and output.
            kits: musl for its workers.
            local: the arches that its own host builds.
        """
        told = f"local: {{arches: [{local}]}}\nremote: {{interface: {self.MASTER}}}\n"
        (config / "workers.yaml").write_text(told, "utf-8")
        cli = HostedMinios(config, folder, self.master)
        seed_kits(cli.state, kits)
        started = cli.run("up")
        assert started.returncode == 0, started.stdout + started.stderr
        return cli

    def close(self) -> None:
        """Switch all off."""
        for host in self._hosts:
            host.close()
