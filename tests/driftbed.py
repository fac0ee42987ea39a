"""Two made-up releases whose kconfig differs in every way, in a folder that is a mirror."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from configbed import SOURCES, write_config
from upstreambed import small_release

from minios_steps.core.config.load import load_project
from minios_steps.core.digest import Digest
from minios_steps.core.upstream.discoveries import Discovered, Discoveries

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project

CONFIG = """\
menu "Settings"
config STATIC
	bool "Build static"
	default n
	help
	config NOT_A_SYMBOL
	stands in a text.
config EXTRA_LDFLAGS
	string "Additional LDFLAGS"
choice
	prompt "Of these"
config USE_BB_CRYPT
	bool
	prompt "Use our crypt"
endchoice
"""
OLD = {
    "Config.in": CONFIG,
    "networking/tc.c": '//config:config TC\n//config:\tbool "tc (8.3 kb)"\nint tc;\n',
    "misc/inotifyd.c": '//config:config INOTIFYD\n//config:\tbool "inotifyd (3.6 kb)"\n',
    "misc/gone.c": '//config:config GONE\n//config:\tint "Nobody asks"\n',
}
NEW = {
    "Config.in": CONFIG,
    "networking/tc.c": '//config:config TRAFFIC_CONTROL\n//config:\tbool "tc (9 kb)"\n',
    "misc/inotifyd.c": '//config:config INOTIFYD\n//config:\tint "inotifyd"\n',
    "misc/new.c": '//config:config NEW_APPLET\n//config:\tbool "new (1 kb)"\n',
}


def drifting_project(folder: Path) -> Project:
    """A configuration that pins 1.35.0 and 1.38.0, with the candidate 1.40.0 of a new kconfig."""
    mirror = folder / "config" / "mirror"
    mirror.mkdir(parents=True)
    sha256 = {}
    for version, files in (("1.38.0", OLD), ("1.40.0", NEW)):
        tarball = small_release(version, files=files)
        (mirror / f"busybox-{version}.tar.bz2").write_bytes(tarball)
        sha256[version] = Digest.of(tarball).hex
    sources = SOURCES.replace("b" * 64, sha256["1.38.0"])
    sources = sources.partition("mirrors:")[0] + "mirrors:\n  - {kind: file, path: mirror}\n"
    write_config(folder / "config", {"sources.yaml": sources})
    file = Discoveries(folder / "state" / "discovered" / "releases.json")
    url = "https://example.org/x"
    file.add(
        Discovered("1.40.0", sha256["1.40.0"], 7, url, "F" * 40, ("one.patch",), ("two is stale",), "now")
    )
    return dataclasses.replace(load_project(folder / "config"), discoveries=file)
