"""What every configuration model shares: frozen, no unknown keys."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, StringConstraints

from minios_steps.core.errors import ConfigError
from minios_steps.core.oci.tag import is_hidden, is_tag
from minios_steps.core.version import Version

K = TypeVar("K")
V = TypeVar("V")

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.ASCII)
_NAME_LENGTH = 64
TAG_FIELDS = frozenset({"version", "minor", "major"})


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or len(value) > _NAME_LENGTH:
        raise ValueError(f"should be a name: lower-case letters, digits, . _ - and at most {_NAME_LENGTH}")
    return value


def _version(value: str) -> str:
    try:
        Version.parse(value)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return value


def _tag_pattern(value: str) -> str:
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
    except ValueError as error:
        raise ValueError(f"tag pattern {value!r}: {error}") from error
    if unknown := fields - TAG_FIELDS:
        told = ", ".join(sorted(unknown)) or "an empty one"
        known = ", ".join(sorted(TAG_FIELDS))
        raise ValueError(f"tag pattern {value!r} has an unknown field: {told} (there are {known})")
    made = value.format(version="1.38.0", minor="1.38", major="1")
    if not is_tag(made):
        raise ValueError(f"tag pattern {value!r} does not make a tag: letters, digits, . _ - only")
    if is_hidden(made):
        raise ValueError(f"tag pattern {value!r} makes a tag that is kept for notes about images")
    return value


def _frozen(value: Mapping[K, V]) -> Mapping[K, V]:
    return MappingProxyType(dict(value))


Name = Annotated[str, AfterValidator(_name)]
"""A name that is safe as a file and as a component of a repository."""

TagPattern = Annotated[str, AfterValidator(_tag_pattern)]
"""A tag with `{version}`, `{minor}` and `{major}` to be filled in."""

VersionText = Annotated[str, AfterValidator(_version)]
"""A release such as `1.38.0`, as text."""

Text = Annotated[str, StringConstraints(min_length=1)]
"""A text that must say something."""

FrozenMapping = Annotated[Mapping[K, V], AfterValidator(_frozen), PlainSerializer(dict)]
"""A mapping that cannot be changed after it was read."""

Variant = Literal["static", "dynamic"]
Backend = Literal["oci", "docker"]
"""What makes images: the master itself, or the Docker engine of the worker that compiled."""
Role = Literal["required", "optional", "candidate", "retired"]
"""A retired arch is built no more; its file stays, so that what was released of it can be read."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


BACKENDS: tuple[Backend, ...] = get_args(Backend)


class Model(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
