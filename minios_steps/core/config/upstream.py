"""The model of `upstream` in `minios.yaml`: where new releases are looked for, and what follows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from minios_steps.core.config.base import Model, TagPattern, Text, Variant

# It is shown to everybody: no user, no query.
_Folder = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@?#]+/$")]
_Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{40}$")]

_Tags = Annotated[tuple[TagPattern, ...], Field(min_length=1)]

DAY = 24 * 3600


class ListingWatch(Model):
    """A web folder with a page that lists its files; `url` ends in `/`.

    Plain http only when `insecure: true` says so.
    """

    kind: Literal["listing"]
    url: _Folder
    insecure: bool = False

    @property
    def downloads(self) -> str:
        """The folder that the releases' files are in."""
        return self.url


class GitWatch(Model):
    """A git repository whose tags name the releases, such as `1_38_0`.

    The bytes still come from a web folder, `downloads`, with checksum and signature. Plain http
    only when `insecure: true` says so.
    """

    kind: Literal["git"]
    repository: Text
    downloads: _Folder
    insecure: bool = False


Watch = Annotated[ListingWatch | GitWatch, Field(discriminator="kind")]


class ReleaseKey(Model):
    """A key that releases may be signed with: `file` below `keys/`, and its fingerprint in capitals."""

    file: Text
    fingerprint: _Fingerprint


class CandidateTags(Model):
    """The tags of a release that is not approved yet, by variant; they hold `{version}`."""

    static: _Tags = ("{version}-rc",)
    dynamic: _Tags = ("{version}-dynamic-rc",)

    def of(self, variant: Variant) -> tuple[str, ...]:
        """The patterns of a variant."""
        return self.static if variant == "static" else self.dynamic


class Upstream(Model):
    """Looking for new releases; nobody looks while `watch` is empty.

    All of `watch` are asked, every `interval` seconds. `accept`: `stable` passes over the first
    release of a line (`x.y.0`), which BusyBox calls unstable. `grace`: seconds until a release
    without a signature is reported. `release`: `auto` releases a candidate when every required
    arch is good, `hold` waits for somebody to approve it. `candidate_tags` are the tags that it
    has until then.
    """

    watch: tuple[Watch, ...] = ()
    interval: Annotated[int, Field(ge=1, le=30 * DAY)] = 6 * 3600
    keys: tuple[ReleaseKey, ...] = ()
    accept: Literal["any", "stable"] = "any"
    grace: Annotated[int, Field(ge=0)] = 3 * DAY
    release: Literal["auto", "hold"] = "hold"
    candidate_tags: CandidateTags = CandidateTags()
