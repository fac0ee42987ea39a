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
