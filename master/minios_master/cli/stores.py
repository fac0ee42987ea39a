"""How commands name images, `out/minios:latest` or `docker://HOST/REPO:TAG`, and open where they are."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minios_steps.core.digest import Digest
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore

from .output import err_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.registry.store import RegistryStore

DEFAULT_TAG = "latest"
REF = "LAYOUT[:TAG]|docker://REFERENCE"
"""How an argument that names an image is shown."""
REF_HELP = (
    "In an OCI layout: DIR[:TAG] or oci:DIR[:TAG]. In a registry: docker://HOST[:PORT]/REPO[:TAG]. "
    "@DIGEST in the place of a tag is exact."
)
_DOCKER = "docker://"

PlainHttpOption = Annotated[
    bool,
    typer.Option(
        "--plain-http", help="The registry speaks http; one on loopback does, unless --ca is given."
    ),
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", metavar="FILE", help="Authorities the registry is trusted by.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class Access:
    """How a registry is spoken to: see the options."""

    plain_http: bool = False
    ca: Path | None = None


@dataclass(frozen=True)
class Place:
    """A store that is open, and what of it was named.

    Args:
        store: the layout or the repository.
        kind: `layout` or `repository`.
        name: the layout's folder, or the repository with its registry.
        tag: empty when none was named.
        digest: None when none was named.
    """

    store: LayoutStore | RegistryStore
    kind: str
    name: str
    tag: str
    digest: Digest | None

    @property
    def ref(self) -> str | Digest:
        """What to ask the store for: the digest, the tag, or `latest`."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def shown(self) -> str:
        """Name and reference, for people."""
        return shown(self.store, self.ref)


@contextmanager
def open_place(text: str, access: Access, *, new: bool = False) -> Iterator[Place]:
    """Read what somebody wrote, and open the store it is in.

    Args:
        text: `[oci:]DIR[:TAG|@DIGEST]` or `docker://HOST[:PORT]/REPO[:TAG|@DIGEST]`.
        access: for a registry.
        new: a layout need not be there yet.

    Raises:
        MiniosError: the form is wrong, or there is no such layout.
    """
    if text.startswith(_DOCKER):
        with _registry(text.removeprefix(_DOCKER), access) as place:
            yield place
        return
    if access.plain_http or access.ca:
        raise MiniosError("--plain-http and --ca are for registries", hint="give docker://HOST/REPO[:TAG]")
    folder, tag, digest = split_layout(text)
    layout = Layout(folder)
    if not new and not layout.exists:
        raise MiniosError(
            f"{folder}: there is no OCI image layout",
            hint="give DIR[:TAG] or oci:DIR[:TAG], or docker://HOST/REPO[:TAG]",
        )
    yield Place(LayoutStore(layout), "layout", str(folder), tag, digest)


def split_layout(text: str) -> tuple[Path, str, Digest | None]:
    """A layout's folder, a tag (empty for none) and a digest, from `[oci:]DIR[:TAG|@DIGEST]`.

    Raises:
        ImageError: what follows the `@` is no digest.
    """
    text = text.removeprefix("oci:")
    if Path(text).is_dir():
        return Path(text), "", None
    folder, at, digest = text.rpartition("@")
    if at and folder and "/" not in digest:
        return Path(folder), "", Digest.parse(digest)
    folder, colon, tag = text.rpartition(":")
    return (Path(folder), tag, None) if colon and folder and "/" not in tag else (Path(text), "", None)


def shown(store: ImageStore, ref: str | Digest) -> str:
    """A store's name with a tag or digest behind it."""
    return f"{store.name}{':' if isinstance(ref, str) else '@'}{ref}"


@contextmanager
def _registry(text: str, access: Access) -> Iterator[Place]:
    # Layouts need none of these, and requests costs a fifth of a second.
    from minios_steps.core.registry.client import Registry  # noqa: PLC0415
    from minios_steps.core.registry.credentials import docker_credentials  # noqa: PLC0415
    from minios_steps.core.registry.endpoint import Endpoint  # noqa: PLC0415
    from minios_steps.core.registry.reference import Reference, is_loopback  # noqa: PLC0415
    from minios_steps.core.registry.store import RegistryStore  # noqa: PLC0415
    from minios_steps.core.web.patience import Patience  # noqa: PLC0415

    wanted = Reference.parse(text)
    plain = access.plain_http or (access.ca is None and is_loopback(wanted.registry))
    # Somebody is waiting at the keyboard.
    endpoint = Endpoint(wanted.registry, plain_http=plain, ca=access.ca, patience=Patience(tries=3))
    with Registry(
        endpoint,
        docker_credentials(wanted.registry, os.environ),
        report=lambda line: err_console().print(line, soft_wrap=True),
    ) as registry:
        store = RegistryStore(registry, wanted.repository)
        yield Place(store, "repository", wanted.name, wanted.tag, wanted.digest)
