"""A `config.json` of Docker's command line with one registry's password (docker/cli, cli/config)."""

from __future__ import annotations

import base64
import json

from minios_steps.core.registry.reference import DOCKER_HUB

HUB_KEY = "https://index.docker.io/v1/"
"""What Docker Hub is called in it."""


def login_config(host: str, username: str, password: str) -> str:
    """The file's text.

    Args:
        host: the registry, as references write it.
        username: whom to log in as.
        password: theirs.
    """
    pair = f"{username}:{password}".encode()
    name = HUB_KEY if host == DOCKER_HUB else host
    return json.dumps({"auths": {name: {"auth": base64.b64encode(pair).decode("ascii")}}})
