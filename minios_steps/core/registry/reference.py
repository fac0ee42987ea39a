"""Names of images in registries (the grammar of distribution/reference): `HOST/REPO:TAG@DIGEST`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.tag import is_tag
from minios_steps.core.registry.errors import RegistryError

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_NAME_LIMIT = 255

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])(?::[0-9]{{1,5}})?", re.ASCII)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """An image, an index, or a whole repository in a registry.

    Args:
        registry: `HOST` or `HOST:PORT`; an IPv6 address is in brackets.
        repository: lower-case path.
        tag: empty when none was named.
        digest: what is meant, whatever the tag points at; None when none was named.

    Raises:
        RegistryError: a part has a form that is not allowed.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    def __post_init__(self) -> None:
        check_host(self.registry)
        check_repository(self.repository)
        if self.tag:
            check_tag(self.tag)

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as Docker does.

        Without a host it is one of Docker Hub, where a name of one part is in `library/`.

        Raises:
            RegistryError: the form is not allowed.
        """
        rest, at, digest_text = text.partition("@")
        try:
            digest = Digest.parse(digest_text) if at else None
        except ImageError as error:
            raise RegistryError(f"{text[:300]!r}: {error.what}") from error
        before, slash, last = rest.rpartition("/")
        last, colon, tag = last.partition(":")
        if colon and not tag:
            raise RegistryError(f"{text[:300]!r}: the tag is empty")
        registry, name = _split_host(before + slash + last)
        if registry == DOCKER_HUB and "/" not in name:
            name = f"library/{name}"
        return cls(registry, name, tag, digest)

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, the tag, or `latest`."""
        return str(self.digest) if self.digest else self.tag or DEFAULT_TAG

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def check_host(host: str) -> None:
    """Refuse what is not `HOST[:PORT]` with a `RegistryError`."""
    if not _HOST.fullmatch(host):
        raise RegistryError(f"not a registry: {host[:_NAME_LIMIT]!r}", hint="write HOST or HOST:PORT")


def is_loopback(host: str) -> bool:
    """Whether `HOST[:PORT]` is this machine, to which Docker too speaks http: 127.0.0.0/8, ::1, localhost."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_repository(name: str) -> None:
    """Refuse what no repository can be called with a `RegistryError`."""
    if not _REPOSITORY.fullmatch(name) or len(name) > _NAME_LIMIT:
        raise RegistryError(
            f"not a repository: {name[:_NAME_LIMIT]!r}",
            hint="write HOST[:PORT]/REPO[:TAG|@DIGEST]: lower-case letters, digits, and . _ - / between them",
        )


def check_tag(tag: str) -> None:
    """Refuse what is not a tag with a `RegistryError`."""
    if not is_tag(tag):
        raise RegistryError(f"not a tag: {tag[:140]!r}", hint="letters, digits, . _ - only; 128 at most")


def _split_host(text: str) -> tuple[str, str]:
    """Host and repository; the first part is a host when it cannot be a part of a repository's path."""
    first, slash, rest = text.partition("/")
    is_host = slash and (
        any(sign in first for sign in ".:[") or first == "localhost" or first.lower() != first
    )
    if not is_host:
        return DOCKER_HUB, text
    return (DOCKER_HUB if first in _HUB_NAMES else first), rest
