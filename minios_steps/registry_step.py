"""What the steps share that speak to a registry: its password, a log of what goes on, cancelling."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from minios_steps.core.errors import MiniosError
from minios_steps.core.registry.connect import Connection, connect
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from minios_steps.core.config.destination import RegistryDestination

LOG = "registry"
T = TypeVar("T")


class RegistryStep(MiniosStep):
    """A step that may speak to a registry.

    Args:
        registry: where to; None for steps that need none.
        registry_root: the folder that `registry.ca` is relative to.
        password: of `registry.username`: a renderable such as `util.Secret("NAME")`, which is
            rendered when it is needed and kept nowhere.
    """

    def __init__(
        self,
        *,
        registry: RegistryDestination | None = None,
        registry_root: Path = Path(),
        password: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.registry = registry
        self.registry_root = registry_root
        self.password = password

    async def connected(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread, with an open connection before its other arguments.

        Args:
            function: gets a `Connection`, but None in a step without a registry.
            *args: its other arguments.

        Raises:
            MiniosError: the secret is not there, or what the function raises.
        """
        connector = await self._connector()

        def call() -> T:
            with connector() as connection:
                return function(connection, *args)

        return await self.in_thread(call)

    async def secret(self, value: Any, name: str, what: str) -> str:
        """The text of a secret, rendered now and kept nowhere; empty where none is asked for.

        Args:
            value: a renderable such as `util.Secret("NAME")`, or None.
            name: of the secret, for the message.
            what: it is, for the message.

        Raises:
            MiniosError: the master has no such secret.
        """
        if value is None:
            return ""
        try:
            return str(await self.build.render(value))
        except KeyError:
            raise MiniosError(
                f"the master has no secret {name!r}, {what}",
                hint=f"put it into secrets/{name} of the state folder, mode 600, and restart the master",
            ) from None

    async def _connector(self) -> Callable[[], AbstractContextManager[Connection | None]]:
        """What opens the connection, to be called in a thread."""
        if self.registry is None:
            return nullcontext
        registry, reactor = self.registry, self.master.reactor
        password = await self.secret(self.password, registry.password_secret, "the password of the registry")
        log = self.logs.get(LOG) or await self.addLog(LOG)

        def report(line: str) -> None:
            reactor.callFromThread(log.addStdout, f"{line}\n")

        return lambda: connect(
            registry, self.registry_root, password=password, cancelled=self.cancelled, report=report
        )
