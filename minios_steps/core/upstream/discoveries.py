"""Discovered releases: verified, kept in the state folder, beside the pinned ones in `sources.yaml`.

A discovered release is a candidate until it is approved. It stays here until somebody pins it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.config.sources import Release
from minios_steps.core.errors import ConfigError, PolicyError
from minios_steps.core.sources.storage import locked, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_FORMAT = 1


@dataclass(frozen=True)
class Discovered:
    """A release that upstream published, as it is built.

    Args:
        version: the release.
        sha256: of the tarball, in hexadecimal; the signature vouches for it.
        epoch: the time of the tarball's newest file, in seconds since 1970.
        url: where the tarball came from.
        fingerprint: of the key that signed it.
        patches: names below `patches/`: those of the newest pinned release that apply.
        refused: a line for each that does not.
        found: when it was verified, ISO 8601.
        passed: whether every required arch of all its variants was good once.
        approved: who let it be released; empty while it is a candidate.
    """

    version: str
    sha256: str
    epoch: int
    url: str
    fingerprint: str
    patches: tuple[str, ...]
    refused: tuple[str, ...]
    found: str
    passed: bool = False
    approved: str = ""

    @property
    def release(self) -> Release:
        """What `sources.yaml` would say of it."""
        return Release(sha256=self.sha256, epoch=self.epoch, patches=self.patches)


@dataclass(frozen=True)
class Discoveries:
    """The file of discovered releases; read anew each time, so that what is added counts at once.

    Args:
        path: the file; its folder is made when it is first written.
    """

    path: Path

    def read(self) -> Mapping[str, Discovered]:
        """All of them, by version; none when there is no file.

        Raises:
            ConfigError: the file is damaged, or cannot be read.
        """
        try:
            return _parse(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Without it what was approved would give its tags to older releases: nobody but a person may.
            hint = "bring back a copy of it; or remove it, then build and approve its releases again"
            raise ConfigError(f"{self.path}: is damaged: {error}", hint=hint) from error

    def add(self, found: Discovered) -> None:
        """Keep a release; one that is there with the same sha256 stays as it is.

        Raises:
            ConfigError: the file is damaged.
            StorageError: it cannot be written.
        """

        def change(known: dict[str, Discovered]) -> None:
            if found.version not in known or known[found.version].sha256 != found.sha256:
                known[found.version] = found

        self._change(change)

    def mark_passed(self, version: str) -> None:
        """Remember that a release's candidate was good.

        Raises:
            PolicyError: there is no such release.
            ConfigError: the file is damaged.
            StorageError: it cannot be written.
        """
        self._change(lambda known: known.update({version: _replaced(known, version, passed=True)}))

    def approve(self, version: str, who: str) -> None:
        """Let a release have its tags; approving it again changes nothing.

        Args:
            version: the release.
            who: who says so, for the record.

        Raises:
            PolicyError: there is no such release, or its candidate was never good.
            ConfigError: the file is damaged.
            StorageError: it cannot be written.
        """

        def change(known: dict[str, Discovered]) -> None:
            approved = _replaced(known, version, approved=known[version].approved if version in known else "")
            if not approved.passed:
                hint = f"build it: minios matrix --version {version}"
                raise PolicyError(
                    f"{version} cannot be approved: it was not good on every arch yet", hint=hint
                )
            if not approved.approved:
                known[version] = dataclasses.replace(approved, approved=who)

        self._change(change)

    def _change(self, change: Callable[[dict[str, Discovered]], object]) -> None:
        with locked(self.path.with_suffix(".lock")):
            known = dict(self.read())
            change(known)
            releases = {version: dataclasses.asdict(item) for version, item in known.items()}
            data = {"format": _FORMAT, "releases": releases}
            with replacing(self.path) as stream:
                stream.write(json.dumps(data, indent=1).encode())


def _replaced(known: Mapping[str, Discovered], version: str, **changes: Any) -> Discovered:
    if version not in known:
        there = ", ".join(known) or "none"
        raise PolicyError(f"{version} is not a discovered release (there are: {there})")
    return dataclasses.replace(known[version], **changes)


def _parse(text: str) -> Mapping[str, Discovered]:
    data = json.loads(text)
    if data["format"] != _FORMAT:
        raise ValueError("it is of another release of minios")
    return {version: _discovered(version, told) for version, told in data["releases"].items()}


def _discovered(version: str, told: Mapping[str, Any]) -> Discovered:
    values = {**told, "patches": tuple(told["patches"]), "refused": tuple(told["refused"])}
    found = Discovered(**values)
    if found.version != version:
        raise ValueError(f"{version} is told to be {found.version}")
    # Checks the sha256 and the epoch.
    _ = found.release
    return found
