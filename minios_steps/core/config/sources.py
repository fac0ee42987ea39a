"""The model of `config/sources.yaml`: pinned releases and where their bytes come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from minios_steps.core.config.base import FrozenMapping, Model, Name, Sha256, Text, VersionText
from minios_steps.core.version import Version


class Release(Model):
    """One pinned release.

    `sha256` of the `.tar.bz2`; `epoch` seconds since 1970 of its newest file, used as
    `SOURCE_DATE_EPOCH`; `patches` file names below `config/patches/`, in order.
    """

    sha256: Sha256
    epoch: Annotated[int, Field(ge=0)]
    patches: tuple[Text, ...] = ()


class HttpsMirror(Model):
    """A web folder; `url` holds `{version}`. Plain http only when `insecure: true` says so."""

    kind: Literal["https"]
    url: Text
    insecure: bool = False


class FileMirror(Model):
    """A folder on this machine; `path` holds `{version}`, relative to the config folder."""

    kind: Literal["file"]
    path: Text


class DebianSourceMirror(Model):
    """A Debian source package whose upstream tarball has the same bytes."""

    kind: Literal["debian-source"]
    package: Name
    suites: Annotated[tuple[Name, ...], Field(min_length=1)]


Mirror = Annotated[HttpsMirror | FileMirror | DebianSourceMirror, Field(discriminator="kind")]


class Sources(Model):
    """The whole of `sources.yaml`. `max_bytes` bounds a download, `max_unpacked` what it may unpack to."""

    releases: Annotated[FrozenMapping[VersionText, Release], Field(min_length=1)]
    mirrors: Annotated[tuple[Mirror, ...], Field(min_length=1)]
    max_bytes: Annotated[int, Field(ge=1)] = 32 << 20
    max_unpacked: Annotated[int, Field(ge=1)] = 256 << 20

    @property
    def newest(self) -> Version:
        """The highest pinned version."""
        return max(Version.parse(text) for text in self.releases)
