"""Who to log in as: told by the caller, or what `docker login` left (docker/cli, config.json)."""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_HELPER_SECONDS = 30
_TOKEN_USER = "<token>"  # noqa: S105  # the mark of docker/docker-credential-helpers, no secret
_NOT_FOUND = "credentials not found"


@dataclass(frozen=True)
class Credentials:
    """A user's name and password, or an identity token in the password's place; never shown.

    Args:
        username: empty with an identity token.
        password: or an access token that is used like one.
        identity_token: an OAuth 2 refresh token, exchanged for access tokens.
    """

    username: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


def docker_credentials(host: str, environ: Mapping[str, str]) -> Credentials | None:
    """What `docker login HOST` left for this user; None when there is nothing.

    Args:
        host: as references write it.
        environ: `DOCKER_CONFIG` names the folder of `config.json`; else it is `HOME/.docker`.

    Raises:
        RegistryError: the file is malformed, or a credential helper fails.
    """
    folder = environ.get("DOCKER_CONFIG") or str(Path(environ.get("HOME") or "~").expanduser() / ".docker")
    path = Path(folder) / "config.json"
    try:
        told: Any = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RegistryError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError):
        # The parser's own error would quote what may be a password.
        raise RegistryError(f"{path}: not JSON") from None
    if not isinstance(told, dict):
        raise RegistryError(f"{path}: not a JSON object")
    key = _HUB_KEY if host == DOCKER_HUB else host
    helper = _section(told, "credHelpers", path).get(host) or told.get("credsStore")
    if helper:
        return _from_helper(helper, key, environ)
    for name, entry in _section(told, "auths", path).items():
        if _host_of(name) == host and isinstance(entry, dict):
            return _from_entry(entry, f"{path}: auths: {host}")
    return None


def _section(told: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = told.get(key) or {}
    if not isinstance(found, dict):
        raise RegistryError(f"{path}: {key}: not an object")
    return found


def _host_of(key: str) -> str:
    """The registry that a key of `auths` is for: old ones are URLs."""
    host = key.split("://", 1)[-1].split("/", 1)[0]
    return DOCKER_HUB if host == "index.docker.io" else host


def _from_entry(entry: dict[str, Any], where: str) -> Credentials | None:
    username, password = entry.get("username"), entry.get("password")
    if packed := entry.get("auth"):
        try:
            # Docker pads with NUL; see docker/cli, config/configfile/file.go.
            username, colon, password = (
                base64.b64decode(packed, validate=True).decode().rstrip("\0").partition(":")
            )
        except (binascii.Error, ValueError, TypeError):
            raise RegistryError(f"{where}: `auth` is not base64 of text") from None
        if not colon:
            raise RegistryError(f"{where}: `auth` has no user name and password")
    token = entry.get("identitytoken")
    found = [value if isinstance(value, str) else "" for value in (username, password, token)]
    return Credentials(*found) if any(found) else None


def _from_helper(name: Any, key: str, environ: Mapping[str, str]) -> Credentials | None:
    """Ask `docker-credential-NAME get` (docker/docker-credential-helpers, README)."""
    if not isinstance(name, str) or not _HELPER.fullmatch(name):
        raise RegistryError(f"not the name of a credential helper: {name!r:.80}")
    command = f"docker-credential-{name}"
    try:
        done = subprocess.run(
            [command, "get"],
            input=key.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=False,
            env=dict(environ),
        )
    except subprocess.TimeoutExpired:
        raise RegistryError(f"{command}: no answer in {_HELPER_SECONDS} s") from None
    except OSError as error:
        raise RegistryError(
            f"{command}: {error.strerror}", hint="install it, or docker login again"
        ) from error
    if done.returncode != 0:
        # Helpers write this to either stream; anything else they say may be a secret.
        if _NOT_FOUND in (done.stdout + done.stderr).decode("utf-8", "replace"):
            return None
        raise RegistryError(f"{command} get: exit code {done.returncode}", hint="docker login again")
    try:
        told: Any = json.loads(done.stdout)
        user, secret = told["Username"], told["Secret"]
    except (ValueError, TypeError, KeyError):
        raise RegistryError(f"{command} get: not the answer of a credential helper") from None
    if user == _TOKEN_USER:
        return Credentials("", identity_token=str(secret))
    return Credentials(str(user), str(secret))
