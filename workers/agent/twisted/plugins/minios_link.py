"""Makes Twisted know connection strings that start with `minios:`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IStreamClientEndpointStringParserWithReactor
from twisted.plugin import IPlugin
from zope.interface import implementer

if TYPE_CHECKING:
    from minios_worker.link import GateEndpoint


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class GateParser:
    """`minios:FOLDER`: the master that the worker in FOLDER is attached to."""

    prefix = "minios"

    def parseStreamClient(self, reactor: Any, folder: str) -> GateEndpoint:
        """The endpoint."""
        from pathlib import Path  # noqa: PLC0415

        from minios_worker.home import Home  # noqa: PLC0415
        from minios_worker.link import GateEndpoint  # noqa: PLC0415

        return GateEndpoint(reactor, Home(Path(folder)))


gate = GateParser()
