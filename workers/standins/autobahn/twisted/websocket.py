"""A stand-in: names to derive from, without anything behind them."""


class WebSocketClientFactory:
    """Stands where a factory would."""


class WebSocketClientProtocol:
    """Stands where a protocol would."""
