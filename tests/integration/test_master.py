"""The embedded master: brought up, asked, used, stopped, and what stands in its way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import requests
from userland import ROOT, replace_block

if TYPE_CHECKING:
    from pathlib import Path

X86 = {"x86_64": "required"}


def test_up_status_matrix_down(config_copy: Any, minios: Any) -> None:
    cli = minios(config_copy(tiny=True, arches={**X86, "sw64": "optional"}))
    assert cli.run("status").returncode == 1
    up = cli.run("up", "--json")
    assert up.returncode == 0, up.stdout + up.stderr
    url = json.loads(up.stdout)["url"]
    assert url.startswith("http://127.0.0.1:")
    page = requests.get(url, timeout=10)
    assert page.ok
    assert "minios" in page.text

    told = json.loads(cli.run("status", "--json").stdout)
    assert told["running"]
    assert told["workers"]["local-x86_64"] is True
    assert told["workers"]["sw64-unattached"] is False
    assert cli.run("up").returncode == 2

    done = cli.run("matrix", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    other = cli.run("matrix", "--out", str(cli.folder / "elsewhere"))
    assert other.returncode == 2
    assert "the running master writes to" in other.stderr

    down = cli.run("down")
    assert down.returncode == 0
    assert "is stopped" in down.stdout
    assert "no master runs" in cli.run("down").stdout


def test_port_in_use(config_copy: Any, minios: Any) -> None:
    config: Path = config_copy(tiny=True, arches=X86)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        replace_block(config / "minios.yaml", "web", f"web: {{port: {port}}}\n")
        done = minios(config).run("matrix")
    assert done.returncode == 2
    assert done.stderr.startswith(f"minios: port {port} on 127.0.0.1 is in use")
    assert "web.port" in done.stderr


def checkconfig(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-c", "from buildbot.scripts.runner import run; run()"),
            *("checkconfig", str(ROOT / "master" / "master.cfg")),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "MINIOS_STATE": str(folder / "state"), **environment},
    )


def test_checkconfig_passes(tmp_path: Path) -> None:
    done = checkconfig(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Config file is good" in done.stdout


def test_checkconfig_shows_our_own_error(config_copy: Any, tmp_path: Path) -> None:
    config: Path = config_copy(tiny=True, arches=X86)
    with (config / "minios.yaml").open("a", encoding="utf-8") as stream:
        stream.write("colour: blue\n")
    done = checkconfig(tmp_path, MINIOS_CONFIG=str(config))
    assert done.returncode != 0
    assert "colour: unknown key" in done.stdout + done.stderr


def test_compiler_missing(config_copy: Any, minios: Any) -> None:
    config: Path = config_copy(tiny=True, arches={"sw64": "required"})
    (config / "workers.yaml").write_text("local: {arches: [sw64]}\n", "utf-8")
    cli = minios(config)
    done = cli.run("matrix")
    assert done.returncode == 1
    assert "sw_64-sunway-linux-gnu-gcc was not found" in done.stdout
    assert "is not released" in done.stdout
    assert not cli.out.exists()


def test_wrong_words_on_the_command_line(config_copy: Any, minios: Any) -> None:
    cli = minios(config_copy(tiny=True, arches=X86), seeded=False)
    for words, told in (
        (("--arch", "vax"), "unknown arch 'vax': the configuration has aarch64, riscv64, sw64, x86_64"),
        (("--version", "9.9.9"), "version '9.9.9' is not pinned"),
        (("--variant", "half"), "unknown variant 'half'"),
    ):
        done = cli.run("matrix", *words)
        assert done.returncode == 2
        assert done.stderr.startswith(f"minios: {told}")
        assert not cli.state.exists()
