"""The Docker engine that this user's `docker` command talks to, by the `docker` SDK."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from minios_steps.core.errors import MiniosError
from minios_steps.core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import docker

    from minios_steps.core.digest import Digest

ANSWER_SECONDS = 3
"""How long an engine may take to say what it is."""
LOAD_SECONDS = 600
"""How long an engine may be silent while it unpacks an image."""
_SOCKET = "unix:///var/run/docker.sock"


class EngineError(MiniosError):
    """There is no Docker engine, or it does not do what it should."""


class Engine:
    """An engine that answers; see `local_engine`.

    Args:
        client: connected to it.
        told: what it says of itself (`GET /version`).
    """

    def __init__(self, client: docker.DockerClient, told: dict[str, object]) -> None:
        self._client = client
        self.version = str(told.get("Version", ""))[:64]
        self.platform = Platform(str(told.get("Os") or "linux"), str(told.get("Arch") or "unknown"))

    def load(self, archive: Iterator[bytes], names: Sequence[str], diff_ids: Sequence[Digest]) -> None:
        """Put an image into the engine, and make sure that each name has its layers.

        Args:
            archive: the blocks of what `docker load` takes; streamed.
            names: the names it has in there, as the engine says them: `minios:1.38.0`.
            diff_ids: its layers, as its config says.

        Raises:
            EngineError: the engine refuses, goes away, or has something else under a name.
        """
        import docker  # noqa: PLC0415  # slow to import
        import requests  # noqa: PLC0415

        self._client.api.timeout = LOAD_SECONDS
        wanted = [str(digest) for digest in diff_ids]
        try:
            # The stubs know bytes only; the SDK hands anything on that `requests` can send.
            self._client.images.load(archive)  # type: ignore[arg-type]
            for name in names:
                found = self._client.images.get(name).attrs["RootFS"].get("Layers")
                if found != wanted:
                    raise EngineError(f"Docker engine: {name} has other layers than were loaded: {found}")
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise EngineError(f"the Docker engine did not take {names[0]}: {_reason(error)}") from error


@contextmanager
def local_engine() -> Iterator[Engine]:
    """The engine at `DOCKER_HOST`, or at the usual socket.

    Raises:
        EngineError: none answers within `ANSWER_SECONDS`.
    """
    # Slow to import, and few commands want an engine.
    import docker  # noqa: PLC0415
    import requests  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=ANSWER_SECONDS)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise _absent(error) from error
    try:
        try:
            told = client.version()
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise _absent(error) from error
        yield Engine(client, told)
    finally:
        client.close()


def engine_version() -> str:
    """The version of the engine that answers; empty when there is none."""
    try:
        with local_engine() as engine:
            return engine.version
    except EngineError:
        return ""


def _absent(error: Exception) -> EngineError:
    where = os.environ.get("DOCKER_HOST") or _SOCKET
    return EngineError(
        f"no Docker engine answers at {where}: {_reason(error)}",
        hint="start one, or set DOCKER_HOST; the user must be allowed to use it",
    )


def _reason(error: BaseException) -> str:
    """The system's own words where there are some: the SDK's are wrapped in several layers."""
    seen: BaseException | None = error
    while seen is not None:
        # Those of `requests` are OSErrors too, without words of the system.
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return " ".join(str(error).split())[:300]
