"""`minios worker probe`, and what `list` and `show` tell of a probe."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from masterbed import FAILURE, SUCCESS
from minios_master.cli import worker_probe
from minios_master.cli.main import run
from minios_master.remote.folders import RemoteFolder
from minios_master.state_lock import Run
from probebed import foreign, keep_probe, machine

if TYPE_CHECKING:
    from pathlib import Path

RUN = Run("up", 1, "http://127.0.0.1:1/", "now", "config", "out")
RETRY = 5


class Api:
    """A master that knows one worker and probes it at once; `found` is what it finds."""

    def __init__(self, folder: RemoteFolder) -> None:
        self.folder = folder
        self.found: Any = machine()
        self.connected = True
        self.on = [3, 4]
        self.results = SUCCESS
        self.verdict = "passed"
        self.cancelled = False
        self.asked: list[Any] = []
        self.builds: list[dict[str, Any] | None] = [None, {"complete": False}]

    def __call__(self, _url: str) -> Api:
        return self

    def get(self, _path: str) -> dict[str, Any]:
        places = [{"builderid": number, "masterid": 1} for number in self.on]
        worker = {"name": "fast", "connected_to": [{}] if self.connected else [], "configured_on": places}
        return {"workers": [worker]}

    def builder_names(self) -> dict[int, str]:
        return {3: "probe-fast", 4: "x86_64"}

    def control(self, *words: Any, **params: Any) -> Any:
        self.asked.append((*words, params))
        keep_probe(self.folder, "fast", self.found)
        return [1, {"3": 9}]

    def build_of_request(self, request: int) -> dict[str, Any] | None:
        assert request == 9
        if self.builds:
            return self.builds.pop(0)
        return {"complete": True, "results": self.results, "buildid": 5, "state_string": "it broke"}

    def request(self, _request: int) -> dict[str, Any]:
        return {"complete": self.cancelled}

    def properties(self, _build: int) -> dict[str, Any]:
        return {"verdict": self.verdict} if self.verdict else {}


class Cli:
    """`minios worker` in this process, with the worker `fast` on the roster and a master that is up."""

    def __init__(self, folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config, self.state = write_config(folder / "config"), folder / "state"
        remote = RemoteFolder(self.state / "remote")
        now = dt.datetime.now(dt.timezone.utc)
        _, secret = remote.roster.invite("fast", "x86_64", 0, now, dt.timedelta(days=1))
        remote.roster.redeem("fast", secret, "p" * 43, {"uname": "x86_64"}, now)
        self.api = Api(remote)
        self._capsys = capsys
        monkeypatch.setattr(worker_probe, "_PAUSE", 0)
        for name in ("worker_probe", "worker_told"):
            monkeypatch.setattr(f"minios_master.cli.{name}.MasterApi", self.api)
        monkeypatch.setattr("minios_master.state_lock.StateLock.holder", lambda _self: RUN)

    def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as done:
            run(["--config", str(self.config), "--state", str(self.state), "worker", *words])
        told: tuple[str, str] = self._capsys.readouterr()
        assert (done.value.code or 0) == code, told
        return told


@pytest.fixture
def cli(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, capsys, monkeypatch)


def test_passed(cli: Cli) -> None:
    out, _ = cli("probe", "fast")
    assert cli.api.asked == [("forceschedulers/probe", "force", {"builderid": 3})]
    assert "fast: passed, it gets cells of x86_64" in out
    assert "static program: ELF64 little-endian, machine 62 (x86-64), flags 0x0, it ran" in out
    assert "loader /lib64/ld-linux-x86-64.so.2" in out
    told = json.loads(cli("list", "--json")[0])[0]
    assert (told["state"], told["probe"], told["cells"]) == ("attached", "passed", True)
    assert json.loads(cli("show", "fast", "--json")[0])["record"]["machine"]["libc"] == "glibc 2.36"


def test_refused(cli: Cli) -> None:
    cli.api.found = machine(page_size=65536, static={"problem": "cannot find -lc"})
    cli.api.results, cli.api.verdict, cli.api.on = FAILURE, "refused", [3]
    out, _ = cli("probe", "fast", code=1)
    rows = [line.split() for line in out.splitlines()]
    assert ["what", "expected", "found"] in rows
    assert ["page", "size", "at", "most", "4096", "65536"] in rows
    assert "static program: none: cannot find -lc" in out
    assert "fast: refused, it gets no cells" in out
    told = json.loads(cli("list", "--json")[0])[0]
    assert (told["state"], told["cells"]) == ("refused", False)
    assert "at most 4096" in cli("show", "fast")[0]
    shown = json.loads(cli("probe", "fast", "--json", code=1)[0])
    assert shown["probe"] == "refused"
    assert shown["mismatches"][0] == {"what": "page size", "expected": "at most 4096", "found": "65536"}


def test_no_arch_file(cli: Cli) -> None:
    (cli.config / "arches" / "x86_64.yaml").unlink()
    minios = cli.config / "minios.yaml"
    minios.write_text(minios.read_text("utf-8").replace("  x86_64: required\n", ""), "utf-8")
    cli.api.found, cli.api.verdict = foreign(62, uname="x86_64", data="little"), "no arch file"
    assert "measured; next: minios arch new x86_64 --from-worker fast" in cli("probe", "fast")[0]


def test_did_not_end_well(cli: Cli) -> None:
    cli.api.results = RETRY
    assert "the probe of fast did not end well: it broke" in cli("probe", "fast", code=2)[1]
    cli.api.results, cli.api.verdict = FAILURE, ""
    assert "did not end well" in cli("probe", "fast", code=2)[1]
    cli.api.builds, cli.api.cancelled = [None], True
    assert "the probe of fast was cancelled" in cli("probe", "fast", code=2)[1]


def test_nothing_to_probe(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.api.connected = False
    assert "worker 'fast' is not connected" in cli("probe", "fast", code=2)[1]
    assert "no remote worker 'slow'" in cli("probe", "slow", code=2)[1]
    monkeypatch.setattr("minios_master.state_lock.StateLock.holder", lambda _self: None)
    assert "no master runs here" in cli("probe", "fast", code=2)[1]
    assert "not probed" in cli("list")[0]
