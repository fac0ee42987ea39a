"""The models of `destination` in `minios.yaml`: where releases go."""

from __future__ import annotations

import string
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from minios_steps.core.config.arch_name import ArchName
from minios_steps.core.config.base import FrozenMapping, Model, TagPattern, Text
from minios_steps.core.errors import MiniosError
from minios_steps.core.registry.reference import Reference, check_repository, is_loopback

STAGING_FIELDS = frozenset({"repository", "arch"})


def _repository(value: str) -> str:
    try:
        found = Reference.parse(value)
    except MiniosError as error:
        raise ValueError(str(error)) from error
    if found.tag or found.digest or not value.startswith(f"{found.registry}/"):
        raise ValueError(f"should be HOST[:PORT]/REPO, without a tag: {value!r}")
    return value


def _staging(value: str) -> str:
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
    except ValueError as error:
        raise ValueError(f"staging {value!r}: {error}") from error
    if unknown := fields - STAGING_FIELDS:
        told = ", ".join(sorted(unknown)) or "an empty one"
        raise ValueError(f"staging {value!r} has an unknown field: {told} (there are arch, repository)")
    if "arch" not in fields:
        raise ValueError(f"staging {value!r} should hold {{arch}}: each arch has a repository of its own")
    return value


class LayoutDestination(Model):
    """An OCI image layout: a folder, relative to the working folder."""

    kind: Literal["layout"] = "layout"
    path: Text = "out/minios"


class WorkerLogin(Model):
    """Whom the workers of an arch log in as to push into its staging repository, and into no other.

    `password_secret` is the name of a Buildbot secret.
    """

    username: Text
    password_secret: Text


class RegistryDestination(Model):
    """A repository of a registry.

    `repository`: `HOST[:PORT]/REPO`. `staging`: where each arch's candidates go on the same
    registry, by digest; `{repository}` is the path without the host. `plain_http`: the
    registry speaks http; one on this machine's loopback always may. `ca`: a file of
    certificate authorities, relative to the configuration folder. `username` goes with
    `password_secret`, the name of a Buildbot secret; without them what `docker login` left
    for the master's user is taken. `format`: of index and images. `immutable`: tags, by their
    patterns, that never move. `on_race`: when somebody else moved a tag meanwhile, `stop`, or
    `rebase` on what is there now. `workers`: by arch, for the backend `docker`; of an arch
    that is not in it, what `docker login` left for the worker's own user is taken.
    """

    kind: Literal["registry"]
    repository: Annotated[str, AfterValidator(_repository)]
    staging: Annotated[str, AfterValidator(_staging)] = "{repository}/{arch}"
    plain_http: bool = False
    ca: str = ""
    username: str = ""
    password_secret: str = ""
    format: Literal["oci", "docker"] = "oci"
    immutable: tuple[TagPattern, ...] = ()
    on_race: Literal["stop", "rebase"] = "stop"
    workers: FrozenMapping[ArchName, WorkerLogin] = Field(default_factory=dict)

    @property
    def host(self) -> str:
        """`HOST[:PORT]`."""
        return Reference.parse(self.repository).registry

    @property
    def path(self) -> str:
        """The release repository without its host."""
        return Reference.parse(self.repository).repository

    @property
    def speaks_http(self) -> bool:
        """Whether the registry is spoken to without TLS."""
        return self.plain_http or is_loopback(self.host)

    def staging_of(self, arch: str) -> str:
        """An arch's staging repository, without its host; raises `RegistryError` when it cannot be one."""
        name = self.staging.format(repository=self.path, arch=arch)
        check_repository(name)
        return name

    def moved_to(self, repository: str, *, plain_http: bool) -> RegistryDestination:
        """The same for another repository; on another host nobody is logged in as here.

        Raises:
            ValidationError: it is no repository.
        """
        given = {**self.model_dump(), "repository": repository, "plain_http": plain_http}
        found = RegistryDestination.model_validate(given)
        if found.host == self.host:
            return found.model_copy(update={"plain_http": plain_http or self.plain_http})
        return found.model_copy(update={"ca": "", "username": "", "password_secret": "", "workers": {}})


Destination = Annotated[LayoutDestination | RegistryDestination, Field(discriminator="kind")]
