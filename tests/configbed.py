"""A small configuration folder for unit tests: one change to it is one test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]

MINIOS = """\
image:
  name: tiny
  title: tiny
  description: A tiny image
versions: [newest]
variants: [static]
arches:
  x86_64: required
  sw64: optional
tags:
  static: ["{version}", "{minor}", latest]
  dynamic: ["{version}-dynamic"]
policy:
  claim_timeout: 5
"""

SOURCES = f"""\
releases:
  1.35.0:
    sha256: {"a" * 64}
    epoch: 1640000000
    patches: [one.patch]
  1.38.0:
    sha256: {"b" * 64}
    epoch: 1700000000
mirrors:
  - kind: https
    url: https://example.org/busybox-{{version}}.tar.bz2
"""

X86_64 = """\
name: x86_64
platform:
  architecture: amd64
elf:
  class: 64
  data: little
  machines: [62]
uname: [x86_64]
gnu_prefix: x86_64-linux-gnu-
"""

SW64 = """\
name: sw64
platform:
  architecture: sw64
elf:
  class: 64
  data: little
  machines: [0x9916, 268]
uname: [sw_64]
gnu_prefix: sw_64-sunway-linux-gnu-
page_size: 8192
kconfig: |
  # This CPU's own wish.
  CONFIG_INOTIFYD=y
"""

FILES = {
    "minios.yaml": MINIOS,
    "sources.yaml": SOURCES,
    "workers.yaml": "local:\n  jobs: 2\n",
    "arches/x86_64.yaml": X86_64,
    "arches/sw64.yaml": SW64,
    "patches/one.patch": "--- a\n",
    "kconfig/base.config": "CONFIG_TC=y\n",
    "kconfig/static.config": "CONFIG_STATIC=y\n",
    "kconfig/dynamic.config": "# CONFIG_STATIC is not set\n",
    "kconfig/libc/glibc.config": "CONFIG_USE_BB_CRYPT=y\n",
    "rootfs/skeleton.yaml": "",
}


def write_config(folder: Path, changes: Mapping[str, str | None] | None = None) -> Path:
    """Write the small configuration with some files' texts replaced; None leaves a file out."""
    for name, text in {**FILES, **(changes or {})}.items():
        if text is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return folder


def changed(name: str, old: str, new: str) -> dict[str, str]:
    """One file's text with one thing in it replaced."""
    assert FILES[name].count(old) == 1, f"{old!r} is not once in {name}"
    return {name: FILES[name].replace(old, new)}
