"""The errors of this program."""


class WorkerError(Exception):
    """Something the person at this machine can read and act on.

    Args:
        text: one line: what is wrong, and what to do.
        final: trying again cannot help; the worker stops instead.
    """

    def __init__(self, text: str, *, final: bool = True) -> None:
        super().__init__(text)
        self.final = final
