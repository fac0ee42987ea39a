"""A stand-in for autobahn, which buildbot-worker imports and a worker of this bundle never uses.

The real one needs compiled extensions. It belongs to Buildbot's experimental protocol; this
worker speaks Perspective Broker.
"""
