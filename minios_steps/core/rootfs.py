"""The root file system of an image: skeleton, BusyBox under all its names, libraries.

Layout of libraries, so that a loader finds them wherever it was built to look:
- the real files are in `usr/lib64` for a 64-bit CPU, in `usr/lib` for a 32-bit one;
- for a 64-bit CPU `usr/lib` has a symbolic link to each, as some loaders look there only;
- the skeleton makes `lib` and `lib64` links to these two, so that the loader is at the
  very path that the program names, be it `/lib/…` or `/lib64/…`; where it still is not, a
  link is added there.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from minios_steps.core.elf import read_elf
from minios_steps.core.entry import Entry, parent_of, resolve_link
from minios_steps.core.errors import RootfsError
from minios_steps.core.libraries import StagedLibrary, check_library_name, check_loader
from minios_steps.core.skeleton import load_skeleton, skeleton_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["StagedLibrary", "load_skeleton", "skeleton_digest", "stage"]

BUSYBOX = "bin/busybox"
ENV = "usr/bin/env"
MAX_APPLETS = 4096
"""Names BusyBox may have; 1.38.0 has about 400."""

_PROGRAM = 0o755
_LINK = 0o777
_BITS64 = 64
_MAX_LINKS = 40  # as many as Linux follows
# BusyBox's own install places (its include/applets.h, BB_DIR_*). A name comes from an untrusted machine.
_APPLET = re.compile(r"/((?:usr/)?s?bin)/([A-Za-z0-9_\[][A-Za-z0-9_.+\[-]{0,63})")
_DROPPED = {
    "/linuxrc",  # an initial RAM disk's, from before Linux 2.6
    f"/{BUSYBOX}",  # the file itself
}


def stage(
    skeleton: Iterable[Entry],
    busybox: bytes | Path,
    applet_links: Sequence[str],
    libraries: Sequence[StagedLibrary] = (),
    loader: str = "",
) -> tuple[Entry, ...]:
    """Put an image's tree together.

    Args:
        skeleton: from `load_skeleton`.
        busybox: the program's bytes, or where they are.
        applet_links: where its applets are, as BusyBox's `busybox.links` says: `/bin/ls`.
            Each becomes a hard link; `/linuxrc` is dropped; twice is once.
        libraries: for a dynamic program, from `LibraryClosure`, the loader among them.
        loader: the loader's path in the program's ELF header, empty for a static program.

    Returns:
        The entries, by path. `/usr/bin/env`, which scripts name, is always there.

    Raises:
        RootfsError: an applet, library or loader path that is not allowed; no `env` applet;
            two things in one place, or one in no folder; a loader without libraries or the
            other way round.
    """
    tree: dict[str, Entry] = {}
    _add(tree, skeleton)
    _add(tree, [Entry(BUSYBOX, "file", _PROGRAM, data=busybox)])
    _add(tree, (Entry(path, "hardlink", _PROGRAM, target=BUSYBOX) for path in _applets(applet_links)))
    if bool(libraries) != bool(loader):
        raise RootfsError(
            f"the loader {loader} comes without libraries"
            if loader
            else "the libraries come without a loader"
        )
    if loader:
        _add_libraries(tree, libraries, loader, read_elf(busybox, BUSYBOX).bits)
    for entry in tree.values():
        folder = parent_of(entry.path)
        if folder and (folder not in tree or tree[folder].kind != "dir"):
            raise RootfsError(f"/{entry.path} cannot be staged: the skeleton has no directory {folder}")
    return tuple(sorted(tree.values(), key=lambda entry: entry.path.split("/")))


def follow(tree: dict[str, Entry], path: str) -> Entry | None:
    """What a path leads to, symbolic links followed in every part, as a kernel would.

    Args:
        tree: entries by their paths.
        path: from the root, with or without a leading `/`.

    Returns:
        The entry, never a symbolic link; nothing when there is none.
    """
    todo = [part for part in reversed(path.split("/")) if part]
    here = ""
    followed = 0
    while todo:
        here = posixpath.join(here, todo.pop())
        entry = tree.get(here)
        if entry is None:
            return None
        if entry.kind == "symlink":
            followed += 1
            leads = resolve_link(here, entry.target)
            if followed > _MAX_LINKS or leads.split("/")[0] in ("..", "."):
                return None
            todo.extend(reversed(leads.split("/")))
            here = ""
    return tree.get(here)


def _add(tree: dict[str, Entry], entries: Iterable[Entry]) -> None:
    for entry in entries:
        if entry.path in tree:
            raise RootfsError(
                f"two things for /{entry.path}: {_describe(tree[entry.path])} and {_describe(entry)}",
                hint="the skeleton must not have what BusyBox or the libraries bring",
            )
        tree[entry.path] = entry


def _describe(entry: Entry) -> str:
    return f"a {entry.kind} to {entry.target}" if entry.target else f"a {entry.kind}"


def _applets(links: Sequence[str]) -> list[str]:
    if len(links) > MAX_APPLETS:
        raise RootfsError(f"BusyBox says it has {len(links):,} applets; {MAX_APPLETS:,} are allowed")
    found = set()
    for link in set(links) - _DROPPED:
        if not _APPLET.fullmatch(link):
            raise RootfsError(
                f"not a place for an applet: {link[:200]!r}",
                hint="applets go to /bin, /sbin, /usr/bin, /usr/sbin",
            )
        found.add(link.removeprefix("/"))
    if "env" not in {posixpath.basename(path) for path in found}:
        raise RootfsError(
            f"BusyBox has no env applet, and scripts need /{ENV}",
            hint="set CONFIG_ENV=y in a kconfig fragment",
        )
    # With CONFIG_INSTALL_NO_USR BusyBox has it in /bin.
    return sorted(found | {ENV})


def _add_libraries(
    tree: dict[str, Entry], libraries: Sequence[StagedLibrary], loader: str, bits: int
) -> None:
    check_loader(loader, BUSYBOX)
    folder, other = ("usr/lib64", "usr/lib") if bits == _BITS64 else ("usr/lib", "")
    for library in libraries:
        check_library_name(library.name)
        _add(tree, [Entry(f"{folder}/{library.name}", "file", _PROGRAM, data=library.data)])
        if other:
            target = posixpath.relpath(f"{folder}/{library.name}", other)
            _add(tree, [Entry(f"{other}/{library.name}", "symlink", _LINK, target=target)])
    real = f"{folder}/{posixpath.basename(loader)}"
    if real not in tree:
        raise RootfsError(f"{BUSYBOX} names the loader {loader}, which is not among the libraries")
    if follow(tree, loader) is not None:
        return
    base = ""
    for name in parent_of(loader).split("/")[1:]:
        here = posixpath.join(base, name)
        if here not in tree:
            _add(tree, [Entry(here, "dir", _PROGRAM)])
        # The folder may be a link: what is added goes to where it leads.
        found = follow(tree, here)
        if found is None or found.kind != "dir":
            raise RootfsError(f"the loader cannot be at {loader}: /{here} is no folder")
        base = found.path
    target = posixpath.relpath(real, base)
    _add(tree, [Entry(f"{base}/{posixpath.basename(loader)}", "symlink", _LINK, target=target)])
