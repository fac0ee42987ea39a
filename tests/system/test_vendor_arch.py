"""A CPU the repository has never heard of: one file, and no code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

S390X = """name: s390x
platform: {architecture: s390x}
elf: {class: 64, data: big, machines: [22]}
uname: [s390x]
gnu_prefix: s390x-linux-gnu-
cross_prefix: s390x-linux-gnu-
emulator: [qemu-s390x-static, qemu-s390x]
"""

ALPHA = """name: alpha
platform: {architecture: alpha}
elf: {class: 64, data: little, machines: [0x9026]}
uname: [alpha]
gnu_prefix: alpha-linux-gnu-
cross_prefix: alpha-linux-gnu-
page_size: 8192
emulator: [qemu-alpha-static, qemu-alpha]
# A static glibc program for alpha crashes under this QEMU.
variants: [dynamic]
"""


def build(config: Path, minios: Any, name: str, text: str, *words: str) -> dict[str, Any]:
    (config / "arches" / f"{name}.yaml").write_text(text, "utf-8")
    done = minios(config).run("matrix", "--arch", name, *words, "--json", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_big_endian_arch_by_one_file(config_copy: Any, minios: Any, need: Any) -> None:
    need("s390x-linux-gnu-gcc", "qemu-s390x-static")
    told = build(config_copy(tiny=True), minios, "s390x", S390X)
    [cell] = told["cells"]
    assert cell["outcome"] == "published"
    assert told["releases"][0]["outcome"] == "partial"


def test_alpha_dynamic_really_runs(config_copy: Any, minios: Any, need: Any) -> None:
    need("alpha-linux-gnu-gcc", "qemu-alpha-static")
    told = build(config_copy(tiny=True), minios, "alpha", ALPHA, "--variant", "dynamic")
    [cell] = told["cells"]
    assert cell["outcome"] == "published"
