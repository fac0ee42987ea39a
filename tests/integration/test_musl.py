"""musl where the arch's file names it: built with it, run with it, and glibc by one line."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

RISCV = {"riscv64": "required"}


def layer_of(layout: Path, digest: str) -> Path:
    """The layer of an image in a layout."""

    def blob(name: str) -> Path:
        return layout / "blobs" / name.replace(":", "/")

    manifest = json.loads(blob(digest).read_text("utf-8"))
    return blob(manifest["layers"][0]["digest"])


def test_dynamic_image_has_musl_and_runs(config_copy: Any, minios: Any, need: Any) -> None:
    need("riscv64-linux-gnu-gcc", "qemu-riscv64-static")
    cli = minios(config_copy(tiny=True, arches=RISCV))
    done = cli.run("matrix", "--variant", "dynamic", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    [cell] = json.loads(done.stdout)["cells"]
    assert cell["outcome"] == "published"
    with tarfile.open(layer_of(cli.out, cell["digest"])) as tar:
        libraries = {name for name in tar.getnames() if name.startswith("usr/lib64/")}
    assert libraries == {"usr/lib64/ld-musl-riscv64.so.1"}, "musl's loader is its C library"


def test_plan_sees_the_same_compiler_and_glibc_is_one_line(config_copy: Any, minios: Any) -> None:
    config: Path = config_copy(tiny=True, arches=RISCV)
    cli = minios(config)
    keys = []
    for more in ("", "libc: glibc\n"):
        with (config / "arches" / "riscv64.yaml").open("a", encoding="utf-8") as stream:
            stream.write(more)
        [cell] = json.loads(cli.run("plan", "--json").stdout)["cells"]
        assert cell["action"] == "build", cell
        keys.append(cell["key"])
        told = json.loads(cli.run("doctor", "--json").stdout)["arches"]
        [libc] = [arch["libc"] for arch in told if arch["name"] == "riscv64"]
        assert libc.startswith("glibc" if more else "musl 1.")
    assert keys[0] != keys[1]
    # Where the state is makes no difference.
    (config / "arches" / "riscv64.yaml").write_text(
        (config / "arches" / "riscv64.yaml").read_text("utf-8").replace("libc: glibc\n", ""), "utf-8"
    )
    [cell] = json.loads(minios(config, cli.folder / "elsewhere").run("plan", "--json").stdout)["cells"]
    assert cell["key"] == keys[0]
