"""The lock files of the worker bundle, against the packages' own words."""

from __future__ import annotations

import zipfile
from email.parser import BytesParser
from typing import TYPE_CHECKING

import pytest
from cachebed import CACHE, filling
from minios_master.bundle.fetch import fetch_wheels
from minios_master.bundle.lock import dotted, read_lock
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from workerbed import LOCKS

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path


def metadata(wheel: Path) -> Message:
    """What a wheel says of itself (PEP 566)."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(name))


@pytest.mark.parametrize("path", sorted(LOCKS.glob("*.lock")), ids=lambda path: path.stem)
def test_lock_resolves_for_its_oldest_python(path: Path) -> None:
    """Each package supports that Python, and all that each asks for is there, in a version it takes."""
    lock = read_lock(path)
    python = dotted(lock.oldest)
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    with filling("wheels"):
        wheels = fetch_wheels(lock, CACHE / "wheels")
    for name, wheel in wheels.items():
        told = metadata(wheel)
        assert canonicalize_name(told["Name"]) == name
        assert told["Version"] == lock.pins[name].version
        assert SpecifierSet(told["Requires-Python"] or "").contains(f"{python}.0"), name
        for text in told.get_all("Requires-Dist") or ():
            wanted = Requirement(text)
            if wanted.marker and not wanted.marker.evaluate(environment):
                continue
            other = canonicalize_name(wanted.name)
            if other not in (*lock.stand_ins, *lock.not_needed):
                assert other in lock.pins, f"{name} needs {text}"
                assert wanted.specifier.contains(lock.pins[other].version), f"{name} needs {text}"
