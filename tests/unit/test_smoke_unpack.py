from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.smoke import is_unpacked, unpack_script

if TYPE_CHECKING:
    from pathlib import Path

NONCE = "0123456789abcdef"


def unpack(folder: Path) -> subprocess.CompletedProcess[str]:
    text = unpack_script("layer.tar.gz", "root", nonce=NONCE) + "echo next\n"
    return subprocess.run(["/bin/sh", "-c", text], cwd=folder, capture_output=True, text=True, check=False)


def test_a_layer_is_unpacked_where_nothing_is_left_of_another(tmp_path: Path) -> None:
    for path in ("etc/hostname", "smoke.12/one/out", "root/bin/old"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("x", "utf-8")
    (tmp_path / "smoke.sh").write_text("the script itself", "utf-8")
    subprocess.run(["tar", "czf", "layer.tar.gz", "etc"], cwd=tmp_path, check=True)
    done = unpack(tmp_path)
    assert is_unpacked(done.stdout, NONCE)
    assert done.stdout.endswith("next\n")
    assert not is_unpacked(done.stdout, NONCE.replace("0", "1"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "root", "smoke.sh"]
    assert [path.name for path in (tmp_path / "root").rglob("*")] == ["etc", "hostname"]


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_a_layer_that_cannot_be_unpacked(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "layer.tar.gz").write_bytes(content)
    done = unpack(tmp_path)
    assert done.returncode == 1
    assert not is_unpacked(done.stdout, NONCE)
    assert done.stdout == "", "no check is made on what is not there"
    assert done.stderr
