"""The written layout, as other people's tools read it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from ocirules import LAYOUT, all_complaints, complaints

from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore

if TYPE_CHECKING:
    from pathlib import Path

PLATFORMS = {"linux/amd64": "x86_64", "linux/arm64/v8": "aarch64", "linux/riscv64": "riscv64"}


def skopeo(*words: str) -> str:
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def select(platform: str) -> list[str]:
    parts = platform.split("/")
    words = ["--override-os", parts[0], "--override-arch", parts[1]]
    return [*words, "--override-variant", parts[2]] if len(parts) > 2 else words


def test_index_has_exactly_the_platforms(full_matrix: Any) -> None:
    told = json.loads(skopeo("inspect", "--raw", f"oci:{full_matrix.out}:latest"))
    assert told["mediaType"] == "application/vnd.oci.image.index.v1+json"
    found = {
        "/".join(filter(None, (p["os"], p["architecture"], p.get("variant"))))
        for p in (entry["platform"] for entry in told["manifests"])
    }
    assert found == set(PLATFORMS)


def test_every_cell_is_published_and_sw64_is_told(full_matrix: Any) -> None:
    told = json.loads(full_matrix.first.stdout)
    outcomes = {cell["arch"]: cell["outcome"] for cell in told["cells"]}
    assert outcomes == {
        "x86_64": "published",
        "aarch64": "published",
        "riscv64": "published",
        "sw64": "no-worker",
    }


@pytest.mark.parametrize("platform", PLATFORMS)
def test_skopeo_copies_each_platform(full_matrix: Any, tmp_path: Path, platform: str) -> None:
    target = f"oci:{tmp_path}/copy:one"
    skopeo("copy", *select(platform), f"oci:{full_matrix.out}:latest", target)
    config = json.loads(skopeo("inspect", "--config", target))
    assert config["architecture"] == platform.split("/")[1]


@pytest.mark.usefixtures("binfmt")
def test_arm64_runs_under_docker_and_qemu(full_matrix: Any, engine: Any, tmp_path: Path) -> None:
    archive = tmp_path / "arm64.tar"
    source = f"oci:{full_matrix.out}:latest"
    skopeo("copy", *select("linux/arm64/v8"), source, f"docker-archive:{archive}:minios:arm64")
    with archive.open("rb") as stream:
        [image] = engine.images.load(stream)
    try:
        told = engine.containers.run(
            image.id, ["uname", "-m"], platform="linux/arm64", remove=True, network_mode="none"
        )
    finally:
        engine.images.remove(image.id, force=True)
    assert told.strip() == b"aarch64"


def test_again_with_state_kept_nothing_is_compiled(full_matrix: Any) -> None:
    before = json.loads(full_matrix.first.stdout)
    again = json.loads(full_matrix.run("matrix", "--json").stdout)
    assert {c["outcome"] for c in again["cells"] if c["arch"] != "sw64"} == {"reused"}
    assert [c["digest"] for c in again["cells"]] == [c["digest"] for c in before["cells"]]
    assert [r["outcome"] for r in again["releases"]] == ["unchanged"]


def test_dynamic_runs_under_emulation(full_matrix: Any) -> None:
    """Natively it does in test_musl.py, with a few applets."""
    done = full_matrix.run("matrix", "--variant", "dynamic", "--arch", "riscv64", "--json", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [(c["arch"], c["outcome"]) for c in told["cells"]] == [("riscv64", "published")]
    assert told["releases"][0]["tags"] == ["1.38.0-dynamic-partial"]


def test_every_document_keeps_the_rules(full_matrix: Any) -> None:
    assert all_complaints(LayoutStore(Layout(full_matrix.out)), "latest") == []
    assert complaints((full_matrix.out / "oci-layout").read_bytes(), LAYOUT) == []
