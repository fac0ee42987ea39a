"""Two packings of one tree are equal; everything else is told."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from typing import Any

import pytest

from minios_steps.core.docker.tree import differences, read_tree
from minios_steps.core.errors import UnsafeArchiveError

Item = tuple[str, dict[str, Any]]
DIR, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

STAGED: list[Item] = [
    ("bin", {"type": DIR, "mode": 0o755}),
    ("bin/busybox", {"data": b"program", "mode": 0o755}),
    ("bin/ash", {"type": HARD, "linkname": "bin/busybox"}),
    ("etc", {"type": DIR, "mode": 0o755}),
    ("etc/shadow", {"data": b"root:*:", "mode": 0o600}),
    ("lib", {"type": LINK, "linkname": "usr/lib", "mode": 0o777}),
    ("tmp", {"type": DIR, "mode": 0o1777}),
]


def pack(items: list[Item], **pax: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, told in items:
            info = tarfile.TarInfo(name)
            data = told.get("data", b"")
            info.size = len(data)
            for key, value in told.items():
                if key != "data":
                    setattr(info, key, value)
            info.pax_headers = dict(pax) if name == "bin/busybox" else {}
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(stream.getvalue())


def changed(name: str, **told: Any) -> list[Item]:
    return [(path, {**old, **told} if path == name else old) for path, old in STAGED]


def compare(items: list[Item]) -> list[str]:
    return differences(read_tree(pack(STAGED)), read_tree(pack(items)))


def test_engine_chooses_another_name_for_the_file() -> None:
    # As overlay2 gives a layer back: names in order, the first of a file's names holds the bytes.
    packed = [
        STAGED[0],
        ("bin/ash", {"data": b"program", "mode": 0o755, "mtime": 5}),
        ("bin/busybox", {"type": HARD, "linkname": "bin/ash", "mode": 0o644}),
        *STAGED[3:5],
        ("lib", {"type": LINK, "linkname": "usr/lib", "mode": 0o755}),
        STAGED[6],
    ]
    assert compare(packed) == []


@pytest.mark.parametrize(
    ("items", "what"),
    [
        (changed("etc/shadow", data=b"root::"), ["etc/shadow: content [0-9a-f]{12} → [0-9a-f]{12}"]),
        (changed("etc/shadow", mode=0o644), ["etc/shadow: mode 0600 → 0644"]),
        (changed("tmp", mode=0o777), ["tmp: mode 1777 → 0777"]),
        (changed("etc/shadow", uid=1000), ["etc/shadow: owner 0:0 → 1000:0"]),
        (changed("etc/shadow", gid=42), ["etc/shadow: owner 0:0 → 0:42"]),
        (changed("lib", linkname="evil"), ["lib: link to 'usr/lib' → 'evil'"]),
        (changed("lib", type=DIR, mode=0o755), ["lib: symlink → dir"]),
        ([*STAGED, ("new", {})], ["new: added"]),
        (STAGED[:-1], ["tmp: missing"]),
        (
            changed("bin/ash", type=tarfile.REGTYPE, data=b"program", mode=0o755),
            ["bin/busybox: shares its file with bin/ash → bin/busybox"],
        ),
        (changed("bin/busybox", data=b"Program"), ["bin/ash: content .*", "bin/busybox: content .*"]),
        (
            changed("bin/busybox", mode=0o4755),
            ["bin/ash: mode 0755 → 4755", "bin/busybox: mode 0755 → 4755"],
        ),
    ],
)
def test_every_change_is_found(items: list[Item], what: list[str]) -> None:
    found = compare(items)
    assert len(found) == len(what)
    for line, pattern in zip(found, what, strict=True):
        assert re.fullmatch(pattern, line), line


def test_large_owner_is_in_an_extended_header() -> None:
    [line] = compare(changed("etc/shadow", uid=3_000_000))
    assert line == "etc/shadow: owner 0:0 → 3000000:0"


@pytest.mark.parametrize("key", ["SCHILY.xattr.security.capability", "LIBARCHIVE.xattr.user.x"])
def test_capabilities_of_a_file_are_refused(key: str) -> None:
    with pytest.raises(UnsafeArchiveError, match="extended attributes"):
        read_tree(pack(STAGED, **{key: "x"}))
