"""A stand-in for msgpack, which buildbot-worker imports and a worker of this bundle never uses.

The real one is a compiled extension. It belongs to Buildbot's experimental protocol; this
worker speaks Perspective Broker.
"""


def packb(*_args, **_kwargs):
    """Not here."""
    raise NotImplementedError("msgpack is a stand-in in this bundle")


def unpackb(*_args, **_kwargs):
    """Not here."""
    raise NotImplementedError("msgpack is a stand-in in this bundle")
