"""How commands name one image wherever it is: a tag, a digest, a cell key, a layout or a registry's image."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minios_master.destination import place_of, released_store
from minios_master.projects import open_project
from minios_master.settings import Settings
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.diff.images import Side
from minios_steps.core.digest import Digest
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.oci.tag import is_tag
from minios_steps.core.platform import Platform

from .output import CliContext
from .stores import Access, open_place, split_layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.oci.store import ImageStore

IMAGE_HELP = (
    "A tag or digest of the configured destination; a candidate's digest or cell key, or how it begins; an"
    " OCI layout DIR[:TAG]; or docker://HOST[:PORT]/REPO[:TAG]."
)
"""What names an image anywhere."""

_HEX = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")
_ARCH = re.compile(r"[a-z0-9][a-z0-9_.-]*(?:/[a-z0-9_.-]+){0,2}")


@dataclass(frozen=True)
class Named:
    """What somebody named.

    Args:
        store: where it is.
        ref: its tag or digest there.
        shown: for people.
        arch: the arch's name or platform behind the last `@`; empty without one.
    """

    store: ImageStore
    ref: str | Digest
    shown: str
    arch: str = ""

    def side(self, context: CliContext) -> Side:
        """The image or index itself, and of an index the image of the arch that was named.

        Raises:
            MiniosError: it is not there, or is nothing for that arch.
        """
        found = Side(self.store, self.store.manifest(self.ref).descriptor)
        if not self.arch:
            return found
        wanted = platform_of(self.arch, context)
        if found.is_index:
            return found.image(wanted)
        [platform] = found.images()
        if platform.normalised != wanted.normalised:
            raise MiniosError(f"{self.shown} is an image for {platform}, not for {wanted}")
        return found


@contextmanager
def open_named(text: str, context: CliContext, access: Access) -> Iterator[Named]:
    """Read what somebody wrote, and open the store that it is in.

    Args:
        text: see `IMAGE_HELP`; `@ARCH` behind it, a name or a platform, takes one image of an index.
        context: whose candidates and whose destination.
        access: for a registry.

    Raises:
        MiniosError: there is nothing of that name, or more than one thing.
    """
    name, arch = _split_arch(text)
    if name.startswith("docker://") or Layout(split_layout(name)[0]).exists:
        with open_place(name, access) as place:
            yield Named(place.store, place.ref, text, arch)
        return
    store = CandidateStore(Settings(context.config, context.state).store)
    if (match := _HEX.fullmatch(name)) and (digests := _candidates(store, match[1], name)):
        yield Named(LayoutStore(store.layout), digests, text, arch)
        return
    if not (match or is_tag(name)):
        raise MiniosError(
            f"{text}: there is no such OCI layout, tag, candidate or cell key",
            hint="give TAG, DIGEST, KEY, DIR[:TAG] or docker://HOST/REPO[:TAG]",
        )
    with _destination(context) as released:
        ref = Digest(match[1]) if match and name.startswith("sha256:") else name
        if released.head(ref) is None:
            raise MiniosError(
                f"{text}: neither a candidate in {store.root} nor in {released.name}",
                hint=f"`minios release list {_repository(released)}` shows its tags; candidates are named by"
                " digest or cell key",
            )
        yield Named(released, ref, text, arch)


def platform_of(arch: str, context: CliContext) -> Platform:
    """The platform that an arch's name, or a platform's own text, stands for.

    Raises:
        MiniosError: it is neither.
    """
    if "/" in arch:
        return Platform.parse(arch)
    return open_project(Settings(context.config, context.state)).arch(arch).platform.platform


def _split_arch(text: str) -> tuple[str, str]:
    """What is before the last `@`, and an arch behind it; `@sha256:HEX` is no arch."""
    if Path(text.removeprefix("oci:")).is_dir():
        return text, ""
    name, at, arch = text.rpartition("@")
    return (name, arch) if at and name and _ARCH.fullmatch(arch) else (text, "")


def _candidates(store: CandidateStore, prefix: str, name: str) -> Digest | None:
    """The digest of the one candidate that is named; None where there is none."""
    found = store.named(prefix)
    # A key is of a candidate: what another build gave instead has a digest of its own.
    digests = dict.fromkeys(
        record.descriptor.digest
        for record in found
        if record.descriptor.digest.hex.startswith(prefix) or store.find(record.key) == record
    )
    if len(digests) > 1:
        told = ", ".join(digest.short for digest in digests)
        raise MiniosError(f"{name} could be any of {told}", hint="write more of it")
    return next(iter(digests), None)


def _repository(store: ImageStore) -> str:
    """What `minios release list` takes for a store."""
    return store.name if isinstance(store, LayoutStore) else f"docker://{store.name}"


@contextmanager
def _destination(context: CliContext) -> Iterator[ImageStore]:
    """Where this configuration's releases are."""
    settings = Settings(context.config, context.state)
    project = open_project(settings)
    # As `minios matrix` does: from where it is run.
    place = place_of(project, settings, Path())
    with released_store(place, project, settings) as store:
        yield store
