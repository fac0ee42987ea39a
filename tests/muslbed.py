"""A made-up Debian archive with musl packages: its apt and dpkg-deb, and arches that want them."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING, Any

from archbed import make_arch

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from minios_steps.core.config.arch import Arch

TRIPLET = "aarch64-linux-musl"
SPECS = f"-isystem /usr/include/{TRIPLET} /usr/lib/{TRIPLET}/crt1.o\n"
DEV = {
    "./usr/": None,
    f"./usr/include/{TRIPLET}/stdio.h": b"/* musl */\n",
    f"./usr/include/{TRIPLET}/sys/types.h": b"/* types */\n",
    f"./usr/lib/{TRIPLET}/libc.a": b"!<arch>\n",
    f"./usr/lib/{TRIPLET}/musl-gcc.specs": SPECS.encode(),
    "./usr/share/doc/musl-dev/copyright": b"MIT\n",
}
RUNTIME = {
    f"./lib/{TRIPLET}/libc.so": b"shared\n",
    "./lib/ld-musl-aarch64.so.1": f"{TRIPLET}/libc.so",
}

_APT_CONFIG = """#!/bin/sh
echo "LIST='$FAKE/sources.list'"
echo "PARTS='$FAKE/none.d/'"
"""
_APT_GET = """#!/bin/sh
echo "$4" >> "$FAKE/log"
case $4 in
    update)
        test -e "$FAKE/hang" && exec sleep 60
        test ! -e "$FAKE/offline" && exit 0
        echo "E: Could not resolve 'mirror.example'" >&2
        exit 100 ;;
    download) cp "$FAKE"/pool/*.deb . ;;
esac
"""


def musl_arch(**changes: Any) -> Arch:
    """`archbed`'s CPU with a musl from Debian."""
    return make_arch(**{"musl": {"debian": "arm64"}, **changes})


class FakeDebian:
    """The archive's packages are tars; `log` tells what apt was asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for name in ("bin", "pool"):
            (folder / name).mkdir(parents=True)
        (folder / "sources.list").write_text("deb http://mirror.example/debian bookworm main\n", "utf-8")
        self.program("apt-config", _APT_CONFIG)
        self.program("apt-get", _APT_GET)
        self.program("apt-cache", "#!/bin/sh\n")
        self.program("dpkg-deb", '#!/bin/sh\ncat "$2"\n')
        self.package("musl", RUNTIME)
        self.package("musl-dev", DEV)
        monkeypatch.setenv("FAKE", str(folder))
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)

    def program(self, name: str, script: str) -> None:
        """A command of this machine."""
        path = self.folder / "bin" / name
        path.write_text(script, "utf-8")
        path.chmod(0o755)

    def package(self, name: str, files: dict[str, bytes | str | None], version: str = "1.2.5-3") -> None:
        """A package of the archive: bytes are files, texts are links, None is a folder."""
        for old in (self.folder / "pool").glob(f"{name}_*"):
            old.unlink()
        with tarfile.open(self.folder / "pool" / f"{name}_{version}_arm64.deb", "w") as tar:
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                if isinstance(content, str):
                    info.type, info.linkname = tarfile.SYMTYPE, content
                elif content is None:
                    info.type = tarfile.DIRTYPE
                else:
                    info.size = len(content)
                tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)

    @property
    def log(self) -> list[str]:
        """The verbs apt was called with."""
        path = self.folder / "log"
        return path.read_text("utf-8").split() if path.exists() else []
