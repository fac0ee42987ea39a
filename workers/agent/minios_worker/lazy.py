"""Modules that Twisted and Buildbot import and a worker hardly ever uses are loaded at their first use.

`http.cookiejar` brings HTTP, HTML and e-mail with it, and asyncio a second way to wait for things: two
megabytes of memory each.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

POSTPONED = ("asyncio", "http.cookiejar", "pdb", "tarfile")
"""Each is imported as a whole; a `from … import` of a name in it would load it at once."""
_ASYNCIO = {"AbstractEventLoop": object, "Future": object, "iscoroutine": inspect.iscoroutine}
"""What Twisted imports by name: two to annotate what no worker calls, and one that it does call."""


class _Later(ModuleType):
    """Stands in the place of a module until something of it is asked for.

    importlib's own LazyLoader loads it too soon: an import statement looks at `__spec__`.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def postpone() -> None:
    """Have these modules loaded when they are needed; those that are there already stay."""
    for name in POSTPONED:
        if name not in sys.modules:
            sys.modules[name] = later = _Later(name)
            later.__dict__.update(_ASYNCIO if name == "asyncio" else {})
