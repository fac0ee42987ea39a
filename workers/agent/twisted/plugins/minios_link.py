"""Makes Twisted know connection strings that start with `minios:`."""

from twisted.internet.interfaces import IStreamClientEndpointStringParserWithReactor
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class GateParser:
    """`minios:FOLDER`: the master that the worker in FOLDER is attached to."""

    prefix = "minios"

    def parseStreamClient(self, reactor, folder):
        """The endpoint."""
        from minios_worker.home import Home  # noqa: PLC0415
        from minios_worker.link import GateEndpoint  # noqa: PLC0415

        return GateEndpoint(reactor, Home(folder))


gate = GateParser()
