"""The model of `config/minios.yaml`: what to build, and what may be released."""

from __future__ import annotations

import string
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from minios_steps.core.config.base import FrozenMapping, Model, Name, Role, Text, Variant, VersionText
from minios_steps.core.oci.tag import is_tag

TAG_FIELDS = frozenset({"version", "minor", "major"})


def _tag_pattern(value: str) -> str:
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
    except ValueError as error:
        raise ValueError(f"tag pattern {value!r}: {error}") from error
    if unknown := fields - TAG_FIELDS:
        told = ", ".join(sorted(unknown)) or "an empty one"
        known = ", ".join(sorted(TAG_FIELDS))
        raise ValueError(f"tag pattern {value!r} has an unknown field: {told} (there are {known})")
    if not is_tag(value.format(version="1.38.0", minor="1.38", major="1")):
        raise ValueError(f"tag pattern {value!r} does not make a tag: letters, digits, . _ - only")
    return value


TagPattern = Annotated[str, AfterValidator(_tag_pattern)]
"""A tag with `{version}`, `{minor}` and `{major}` to be filled in."""


class ImageSpec(Model):
    """The image's name and the texts of its labels (`org.opencontainers.image.*`)."""

    name: Name
    title: Text
    description: Text
    licenses: str = "GPL-2.0-only"
    url: str = ""
    vendor: str = ""
    command: Annotated[tuple[Text, ...], Field(min_length=1)] = ("/bin/sh",)


class Policy(Model):
    """When a release's tags may move.

    `carry_over`: an optional arch that is missing is kept from the previous index of the
    same version and variant. Times are seconds.
    """

    carry_over: bool = False
    claim_timeout: Annotated[int, Field(ge=1)] = 600
    cell_timeout: Annotated[int, Field(ge=60)] = 3600


class Destination(Model):
    """Where releases go. `layout`: an OCI image layout folder, relative to the working folder."""

    kind: Literal["layout"] = "layout"
    path: Text = "out/minios"


class SmokeSpec(Model):
    """The smoke test: seconds allowed per check."""

    timeout: Annotated[int, Field(ge=1)] = 60


class Web(Model):
    """The web interface: loopback unless told otherwise; port 0 takes a free one."""

    interface: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0


class Minios(Model):
    """The whole of `minios.yaml`. Arches that have a file but no role here are candidates."""

    image: ImageSpec
    versions: Annotated[tuple[Literal["newest"] | VersionText, ...], Field(min_length=1)] = ("newest",)
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = ("static",)
    arches: Annotated[FrozenMapping[Name, Role], Field(min_length=1)]
    tags: FrozenMapping[Variant, tuple[TagPattern, ...]]
    policy: Policy = Policy()
    destination: Destination = Destination()
    kconfig_base: Literal["defconfig", "allnoconfig"] = "defconfig"
    smoke: SmokeSpec = SmokeSpec()
    web: Web = Web()
