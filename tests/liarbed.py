"""A master with short time limits, and workers that hang, vanish and lie when they are told to."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from minios_master.api import MasterApi
from userland import ROOT, Minios
from workerbed import wait_for

BEAT, ANSWER, TICK = 1.0, 3.0, 0.5
"""The limits of `Bounds` in these tests, in seconds."""
_MASTER = """
from minios_master.configurator import MiniosConfigurator
from minios_master.remote.broker import Bounds
from minios_master.remote.gate import Gate


class Short(MiniosConfigurator):
    def configure(self, config_dict):
        super().configure(config_dict)
        services = config_dict["services"]
        [place] = [place for place, one in enumerate(services) if one.name == "gate"]
        bounds = Bounds(beat={beat}, answer={answer}, tick={tick})
        services[place] = Gate("127.0.0.1", 0, self.settings.remote, bounds=bounds)


c = BuildmasterConfig = {{}}
c["configurators"] = [Short()]
"""
_RUN = """
from pathlib import Path
from minios_master import embedded
real = embedded.master_file
embedded.master_file = lambda name: Path({cfg!r}) if name == "master.cfg" else real(name)
from minios_master.cli.main import run
run()
"""


class ShortMinios(Minios):
    """`minios` whose masters lose patience with their workers soon."""

    def command(self, *words: str) -> list[str]:
        """The whole command line."""
        cfg = self.folder / "short-master.cfg"
        if not cfg.exists():
            cfg.write_text(_MASTER.format(beat=BEAT, answer=ANSWER, tick=TICK), "utf-8")
        base = [sys.executable, "-c", _RUN.format(cfg=str(cfg))]
        return [*base, "--config", str(self.config), "--state", str(self.state), *words]

    @property
    def api(self) -> MasterApi:
        """The running master."""
        return MasterApi(json.loads((self.state / "run.json").read_text("utf-8"))["url"])

    @property
    def pid(self) -> int:
        """The running master's process."""
        return int(json.loads((self.state / "run.json").read_text("utf-8"))["pid"])

    def resident(self) -> int:
        """Bytes of memory of the running master."""
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024

    def builds(self) -> dict[str, dict[str, Any]]:
        """What is being built now, by worker."""
        api = self.api
        names = {one["workerid"]: one["name"] for one in api.get("workers")["workers"]}
        found = api.get("builds")["builds"]
        told = {names[build["workerid"]]: build for build in found if not build["complete"]}
        told.pop("coordinator", None)
        return told


class Liar:
    """A worker's process; it works as any other until it is told to lie.

    Args:
        cli: of the master.
        arch: the arch it is invited for.
    """

    def __init__(self, cli: ShortMinios, arch: str) -> None:
        done = cli.run("worker", "invite", arch, "--jobs", "1", "--host", "127.0.0.1", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        self.cli = cli
        self.name = told["name"]
        self.folder = cli.folder / self.name
        self.folder.mkdir()
        self.password = secrets.token_urlsafe(32)
        self.port = json.loads((cli.state / "remote" / "ports.json").read_text("utf-8"))["plain"]
        secret = _secret(told["invite"])
        answer = self._ask(do="redeem", name=self.name, secret=secret, password=self.password)
        assert answer["ok"], answer
        self.process = self._start()

    def lie(self, how: str) -> None:
        """From the next command on."""
        (self.folder / "lie").write_text(how, "utf-8")

    def freeze(self) -> None:
        """Hang, as a machine does whose disk has gone."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Vanish, with what it runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def restart(self) -> None:
        """Vanish, and come back."""
        self.kill()
        self.process = self._start()

    def wait(self) -> None:
        """Wait until the master has it, and gives it cells."""

        def is_ready() -> bool:
            told = self.told()
            return bool(told["connected"] and told["cells"])

        wait_for(is_ready, f"{self.name} connected and probed", 30)

    def told(self) -> dict[str, Any]:
        """What the master says of it."""
        done = self.cli.run("worker", "show", self.name, "--json")
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def _ask(self, **request: Any) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self.port), 10) as stream:
            stream.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(stream.makefile("rb").readline())
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        words = [str(ROOT / "tests" / "liarworker.py"), str(self.port), self.name, self.password]
        with (self.folder / "log").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *words, str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )


def _secret(invite: str) -> str:
    body = invite.split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return str(told["secret"])
