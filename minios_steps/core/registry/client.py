"""A registry: where it is, who asks, and its repositories.

    with Registry(Endpoint("registry.example:5000"), Credentials("ci", password)) as registry:
        images = registry.repository("team/minios")
        images.upload_blob(path, digest, mount_from="team/staging")
        images.ensure_manifest("1.38.0", raw, media_type)

Calls wait for the network: they belong into a thread, and one `Registry` into one thread at a time.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from minios_steps.core.cancel import never
from minios_steps.core.registry.errand import Errand
from minios_steps.core.registry.reference import check_repository
from minios_steps.core.registry.repository import Repository
from minios_steps.core.registry.wire import Ask, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from minios_steps.core.registry.credentials import Credentials
    from minios_steps.core.registry.endpoint import Endpoint


class Registry:
    """The connections to one registry; everything it learns about logging in is kept in here.

    Args:
        endpoint: the registry.
        credentials: None to go on without a name; see also `docker_credentials`.
        cancelled: asked often, from the calling thread; when it says yes, `CancelledError` is raised.
        report: called with lines for people, such as why something is tried again.

    Raises:
        RegistryError: the endpoint's file of authorities cannot be read.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None = None,
        *,
        cancelled: Callable[[], bool] = never,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.endpoint = endpoint
        self._wire = Wire(endpoint, credentials, cancelled, report)

    def repository(self, name: str) -> Repository:
        """A repository, which need not exist yet; raises `RegistryError` when it cannot be called so."""
        check_repository(name)
        return Repository(self._wire, name)

    def ping(self) -> None:
        """Make sure that a registry answers, and takes the credentials (distribution-spec, end-1).

        Raises:
            RegistryError: it does not.
            CancelledError: cancelled.
        """
        errand = Errand(self._wire, self.endpoint.host)
        ask = Ask("GET", f"{self.endpoint.url}/v2/", (), (HTTPStatus.OK,))
        errand.run(lambda: errand.attempt(ask).close())

    def close(self) -> None:
        """Close the connections."""
        self._wire.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
