"""The sw64 builder from end to end, with a stand-in for SW64's tools: what is built is alpha's code."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from standin_sw64 import IN_THE_FIELD, make_standin, name_emulator

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.elf import read_elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from registryrig import RealRegistry

VARIANT = "dynamic"
"""A static glibc program for alpha crashes under this QEMU."""


def skopeo(*words: str) -> str:
    return subprocess.run(["skopeo", *words], check=True, capture_output=True, text=True, timeout=60).stdout


def test_from_probe_to_index(
    config_copy: Any,
    minios: Any,
    need: Callable[..., None],
    registry: RealRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need("alpha-linux-gnu-gcc", "qemu-alpha-static", "skopeo")
    for name, value in make_standin(tmp_path / "standin").environment(os.environ["PATH"]).items():
        monkeypatch.setenv(name, value)
    config: Path = config_copy(tiny=True, arches={"sw64": "required"})
    name_emulator(config / "arches" / "sw64.yaml")
    cli = minios(config)
    done = cli.run("matrix", "--variant", VARIANT, "--registry", f"{registry.host}/minios")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " is released: " in done.stdout

    record = CandidateStore(cli.state / "store").latest("sw64", "1.38.0", VARIANT)
    assert record
    assert record.inputs["prefix"] == "sw_64-sunway-linux-gnu-"
    assert "stand-in" in record.inputs["toolchain"]
    # The emulator takes nothing but SW64's number, and the tests ran.
    checks = {check["name"]: check["outcome"] for check in record.smoke}
    assert "failed" not in checks.values()
    assert (checks["arithmetic"], checks["sha256sum"], checks["applets"]) == ("passed",) * 3

    # What somebody with a Sunway machine gets.
    place = f"docker://{registry.host}/minios:dynamic"
    [entry] = json.loads(skopeo("inspect", "--tls-verify=false", "--raw", place))["manifests"]
    assert entry["platform"] == {"architecture": "sw64", "os": "linux"}
    with pytest.raises(subprocess.CalledProcessError):
        skopeo("--override-arch", "amd64", "inspect", "--tls-verify=false", place)
    sunway = ("--override-arch", "sw64")
    told = json.loads(skopeo(*sunway, "inspect", "--tls-verify=false", place))
    assert told["Architecture"] == "sw64"
    layout = tmp_path / "copied"
    skopeo(*sunway, "copy", "--src-tls-verify=false", place, f"oci:{layout}:x")
    [entry] = json.loads((layout / "index.json").read_text("utf-8"))["manifests"]
    assert entry["digest"] == str(record.descriptor.digest)
    [layer] = told["Layers"]
    with tarfile.open(layout / "blobs" / layer.replace(":", "/")) as tar:
        for name in ("bin/busybox", "usr/lib64/ld-linux.so.2", "usr/lib64/libc.so.6.1"):
            stream = tar.extractfile(name)
            assert stream
            assert read_elf(stream.read(), name).machine == IN_THE_FIELD
