from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from configbed import ROOT
from minios_master.bundle import fetch
from minios_master.bundle.fetch import fetch_wheels
from minios_master.bundle.lock import choose_lock, parse_python, read_lock
from minios_master.bundle.pack import write_bundle

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = ROOT / "workers"
LOCKS = RECIPE / "bundle"


@pytest.mark.parametrize(
    ("python", "name"),
    [("3.7", "3.7"), ("3.7.3", "3.7"), ("3.8", "3.8"), ("3.9", "3.8"), ("3.13.1", "3.8")],
)
def test_lock_for_a_python(python: str, name: str) -> None:
    assert choose_lock(LOCKS, python).path.name == f"python{name}.lock"


@pytest.mark.parametrize("python", ["2.7", "3.6", "4.0"])
def test_no_lock_for_a_python(python: str) -> None:
    with pytest.raises(
        ConfigError, match=r"no worker bundle for Python .*: there are some for 3\.7 to below"
    ):
        choose_lock(LOCKS, python)


@pytest.mark.parametrize("python", ["", "three", "3", "3.7rc1"])
def test_no_python(python: str) -> None:
    with pytest.raises(ConfigError, match="is not a version of Python"):
        parse_python(python)


def test_lock_without_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_text("# python: 3.7 below 3.9\n\ntwisted==22.4.0\n", "utf-8")
    with pytest.raises(ConfigError, match=r"x\.lock:3: should be NAME==VERSION --hash"):
        read_lock(path)
    path.write_text("twisted==22.4.0\n", "utf-8")
    with pytest.raises(ConfigError, match="is missing"):
        read_lock(path)


def wheel(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def lock_of(folder: Path, path: Path) -> Path:
    lock = folder / "python3.7.lock"
    pin = f"made==1.0 --hash=sha256:{Digest.of_file(path).hex}"
    lock.write_text(f"# python: 3.7 below 3.9\n{pin}\n", "utf-8")
    return lock


def names(bundle: Path) -> list[str]:
    data = bundle.read_bytes()
    header, payload = data[: data.index(b"\x1f\x8b\x08")], data[data.index(b"\x1f\x8b\x08") :]
    assert hashlib.sha256(payload).hexdigest().encode() in header
    assert f"size={len(payload)}".encode() in header
    assert b"@SHA256@" not in header
    with tarfile.open(fileobj=io.BytesIO(payload)) as archive:
        return archive.getnames()


def test_what_is_packed(tmp_path: Path) -> None:
    files = {
        "made/__init__.py": b"",
        "made/fast.cpython-37m-x86_64-linux-gnu.so": b"\x7fELF",
        "made/fast.c": b"int x;",
        "made/tests/test_made.py": b"match = 1",
        "made-1.0.dist-info/LICENSE": b"do what you like",
        "made-py2.7-nspkg.pth": b"import sys",
        "twisted/plugins/twisted_words.py": b"",
        "twisted/words/__init__.py": b"",
        "twisted/internet/__init__.py": b"",
    }
    path = wheel(tmp_path, files)
    lock = read_lock(lock_of(tmp_path, path))
    dest = tmp_path / "worker.run"
    write_bundle(lock, {"made": path}, RECIPE, dest, ["s390x"])
    found = names(dest)
    assert sorted(name for name in found if "/made" in name) == [
        "lib/made",
        "lib/made-1.0.dist-info",
        "lib/made-1.0.dist-info/LICENSE",
        "lib/made/__init__.py",
    ]
    assert "lib/twisted/internet/__init__.py" in found
    assert not [name for name in found if "words" in name]
    assert {"minios-worker", ".minios-worker", "agent/minios_worker/__main__.py", "units"} <= set(found)
    assert {"lib/msgpack.py", "lib/autobahn/__init__.py"} <= set(found)
    assert not [name for name in found if name.endswith((".so", ".pyc"))]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("made/new.py", b"match x:\n    case 1: pass\n", r"lib/made/new\.py is not Python 3\.7"),
        ("made/walrus.py", b"(x := 1)\n", r"lib/made/walrus\.py is not Python 3\.7"),
        ("../../etc/passwd", b"", "not a plain relative path"),
    ],
)
def test_what_is_refused(name: str, data: bytes, told: str, tmp_path: Path) -> None:
    path = wheel(tmp_path, {name: data})
    lock = read_lock(lock_of(tmp_path, path))
    with pytest.raises(SourceError, match=told):
        write_bundle(lock, {"made": path}, RECIPE, tmp_path / "worker.run")
    assert not (tmp_path / "worker.run").exists()


def test_wheels_are_kept_and_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path, {"made/__init__.py": b""})
    lock = read_lock(lock_of(tmp_path, path))
    fetched: list[str] = []

    def download(_lock: object, folder: Path) -> None:
        fetched.append(folder.name)
        (folder / path.name).write_bytes(path.read_bytes())

    monkeypatch.setattr(fetch, "_download", download)
    cache = tmp_path / "cache"
    [kept] = fetch_wheels(lock, cache).values()
    assert fetch_wheels(lock, cache) == {"made": kept}
    assert len(fetched) == 1
    kept.write_bytes(b"rotten")
    assert fetch_wheels(lock, cache)["made"].read_bytes() == path.read_bytes()
    assert len(fetched) == 2


def test_a_wheel_with_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path, {"made/__init__.py": b""})
    lock = read_lock(lock_of(tmp_path, path))
    monkeypatch.setattr(fetch, "_download", lambda _lock, folder: (folder / "x.whl").write_bytes(b"other"))
    with pytest.raises(SourceError, match=r"did not fetch made 1\.0 with the locked hash"):
        fetch_wheels(lock, tmp_path / "cache")


def test_pip_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path, {"made/__init__.py": b""})
    lock = read_lock(lock_of(tmp_path, path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(SourceError, match="pip could not fetch the bundle's packages: ERROR"):
        fetch_wheels(lock, tmp_path / "cache")
