"""The model of `config/minios.yaml`: what to build, and what may be released."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from minios_steps.core.config.arch_name import ArchName
from minios_steps.core.config.base import (
    Backend,
    FrozenMapping,
    Model,
    Name,
    Role,
    TagPattern,
    Text,
    Variant,
    VersionText,
)
from minios_steps.core.config.destination import Destination, LayoutDestination
from minios_steps.core.config.nightly import Nightly
from minios_steps.core.config.notices import Notices
from minios_steps.core.config.signing import Signing, Uri
from minios_steps.core.config.upstream import Upstream


class ImageSpec(Model):
    """The image's name and the texts of its labels (`org.opencontainers.image.*`).

    `backend`: `oci`, packed on the master; or `docker`, built by the Docker engine of the worker
    that compiled it, which takes a registry as destination.
    """

    name: Name
    title: Text
    description: Text
    licenses: str = "GPL-2.0-only"
    url: str = ""
    vendor: str = ""
    command: Annotated[tuple[Text, ...], Field(min_length=1)] = ("/bin/sh",)
    backend: Backend = "oci"


class Policy(Model):
    """When a release's tags may move.

    `carry_over`: an optional arch that is missing is kept from the previous index of the
    same version and variant. Times are seconds.
    """

    carry_over: bool = False
    claim_timeout: Annotated[int, Field(ge=1)] = 600
    cell_timeout: Annotated[int, Field(ge=60)] = 3600


class SmokeSpec(Model):
    """The smoke test: seconds allowed per check."""

    timeout: Annotated[int, Field(ge=1)] = 60


class Web(Model):
    """The web interface: loopback unless told otherwise; port 0 takes a free one."""

    interface: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0


class Minios(Model):
    """The whole of `minios.yaml`. Arches that have a file but no role here are candidates.

    `builder_id`: a URI for the machine that builds and those who may change what it does; it
    stands in each image's provenance.
    """

    image: ImageSpec
    versions: Annotated[tuple[Literal["newest"] | VersionText, ...], Field(min_length=1)] = ("newest",)
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = ("static",)
    arches: Annotated[FrozenMapping[ArchName, Role], Field(min_length=1)]
    tags: FrozenMapping[Variant, tuple[TagPattern, ...]]
    policy: Policy = Policy()
    destination: Destination = LayoutDestination()
    kconfig_base: Literal["defconfig", "allnoconfig"] = "defconfig"
    smoke: SmokeSpec = SmokeSpec()
    signing: Signing = Signing()
    builder_id: Uri = "urn:minios:builder"
    web: Web = Web()
    upstream: Upstream = Upstream()
    nightly: Nightly = Nightly()
    notices: Notices = Notices()
