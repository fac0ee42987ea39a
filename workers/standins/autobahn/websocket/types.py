"""A stand-in: a name to import."""


class ConnectingRequest:
    """Stands where a request would."""
