"""The root file system's skeleton: `rootfs/skeleton.yaml`, and the files' contents below `rootfs/files/`."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints, field_validator

from minios_steps.core.config.base import Model
from minios_steps.core.config.load import validate
from minios_steps.core.config.yamlfile import YamlFile, parse_yaml, read_yaml_text
from minios_steps.core.digest import Digest
from minios_steps.core.entry import Entry, check_path, parent_of
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "skeleton.yaml"
FILES = "files"

Mode = Annotated[str, StringConstraints(pattern=r"^[0-7]{4}$")]
Owner = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,8}):(0|[1-9][0-9]{0,8})$")]
_LINK_MODE = 0o777  # what Linux shows for every symbolic link; nothing reads it


class _Item(Model):
    path: str
    owner: Owner

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        try:
            check_path(value, ConfigError)
        except ConfigError as error:
            raise ValueError(error.what) from error
        return value

    @property
    def ids(self) -> tuple[int, int]:
        """The owner's user and group number."""
        user, _, group = self.owner.partition(":")
        return int(user), int(group)


class Folder(_Item):
    """A folder; `mode` four octal digits, `owner` USER:GROUP in numbers, as everywhere here."""

    mode: Mode

    def entry(self) -> Entry:
        """What goes into the layer."""
        uid, gid = self.ids
        return Entry(self.path, "dir", int(self.mode, 8), uid=uid, gid=gid)


class File(_Item):
    """A file; its content is the file of the same path below `files/`."""

    mode: Mode

    def entry(self, content: Path) -> Entry:
        """What goes into the layer, with the bytes of now."""
        uid, gid = self.ids
        return Entry(self.path, "file", int(self.mode, 8), data=content.read_bytes(), uid=uid, gid=gid)


class Link(_Item):
    """A symbolic link."""

    target: Annotated[str, StringConstraints(min_length=1)]

    def entry(self) -> Entry:
        """What goes into the layer."""
        uid, gid = self.ids
        return Entry(self.path, "symlink", _LINK_MODE, target=self.target, uid=uid, gid=gid)


class Skeleton(Model):
    """The whole of `skeleton.yaml`: everything in an image that is not BusyBox or a library."""

    directories: Annotated[tuple[Folder, ...], Field(min_length=1)]
    files: tuple[File, ...] = ()
    symlinks: tuple[Link, ...] = ()


def load_skeleton(root: Path) -> tuple[Entry, ...]:
    """Read a skeleton.

    Args:
        root: the folder with `skeleton.yaml` and `files/`.

    Returns:
        The entries, files with their bytes, in the order of paths.

    Raises:
        ConfigError: `FILE:LINE: KEY: what`: an unknown or missing key, a path twice, below
            no folder, or without its content; a content that is not listed.
    """
    file, skeleton = _parse(root / NAME, read_yaml_text(root / NAME))
    contents = root / FILES
    problems = [*_misplaced(file, skeleton), *_contents(file, skeleton, contents)]
    if problems:
        raise ConfigError(problems[0], details="\n".join(problems))
    try:
        files = [item.entry(contents / item.path) for item in skeleton.files]
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
    entries = [
        *(folder.entry() for folder in skeleton.directories),
        *(link.entry() for link in skeleton.symlinks),
        *files,
    ]
    return tuple(sorted(entries, key=lambda entry: entry.path.split("/")))


# Each cell of a matrix asks for it, and YAML takes long to parse.
@lru_cache(maxsize=4)
def _parse(path: Path, text: str) -> tuple[YamlFile, Skeleton]:
    file = parse_yaml(path, text)
    problems: list[str] = []
    skeleton = validate(file, Skeleton, problems)
    if skeleton is None:
        raise ConfigError(problems[0], details="\n".join(problems))
    return file, skeleton


def skeleton_digest(root: Path) -> Digest:
    """The digest of what a skeleton puts into an image; comments and order do not count.

    Raises:
        ConfigError: as `load_skeleton`.
    """
    told = [
        [
            entry.path,
            entry.kind,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.target,
            Digest.of(entry.data).hex if isinstance(entry.data, bytes) else "",
        ]
        for entry in load_skeleton(root)
    ]
    return Digest.of(json.dumps(told).encode())


def _misplaced(file: YamlFile, skeleton: Skeleton) -> list[str]:
    """Paths that are there twice, or in no folder of the skeleton."""
    problems = []
    folders = {item.path for item in skeleton.directories}
    seen: set[str] = set()
    for kind in ("directories", "files", "symlinks"):
        for index, item in enumerate(getattr(skeleton, kind)):
            at = (kind, index, "path")
            if item.path in seen:
                problems.append(file.problem(at, f"{item.path} is there twice"))
            if parent_of(item.path) not in {"", *folders}:
                problems.append(file.problem(at, f"there is no directory {parent_of(item.path)}"))
            seen.add(item.path)
    return problems


def _contents(file: YamlFile, skeleton: Skeleton, contents: Path) -> list[str]:
    """Listed files without a content, and contents that no listed file has."""
    listed = {item.path for item in skeleton.files}
    there = {
        path.relative_to(contents).as_posix()
        for path in contents.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    problems = [
        file.problem(("files", index, "path"), f"there is no file {contents / item.path}")
        for index, item in enumerate(skeleton.files)
        if item.path not in there or (contents / item.path).is_symlink()
    ]
    return problems + [f"{contents / path}: is not listed in {file.path}" for path in sorted(there - listed)]
