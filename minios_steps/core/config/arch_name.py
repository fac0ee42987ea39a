"""What an arch may be called: the names of builders, workers, properties and files are made of it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from minios_steps.core.errors import ConfigError

RESERVED_NAMES = frozenset({"coordinator", "matrix", "nightly"})
"""What no arch may be called: the master's own builders, schedulers and worker."""
RESERVED_PREFIX = "local-"
"""How no arch's name may start: the workers inside the master do."""
PROBE_PREFIX = "probe-"
"""How no arch's name may start: the builders that probe a worker do."""

# Buildbot wants a worker's name to be an identifier of at most 50 characters
# (buildbot/config/master.py, `_check_workers`), or it reads no configuration any more. The longest
# that is made of an arch's name is `NAME-unattached`. No underscore first, as no part of a
# repository's name may start with one (OCI distribution-spec).
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,38}", re.ASCII)
_SHOWN = 80


def check_arch_name(name: str) -> str:
    """The name, when an arch may be called so.

    Raises:
        ConfigError: it may not; the text says why.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:_SHOWN]!r} is not an arch's name: a lower-case letter, then lower-case letters, digits,"
            " _ - and at most 39 in all"
        )
    if name in RESERVED_NAMES or name.startswith((RESERVED_PREFIX, PROBE_PREFIX)):
        raise ConfigError(f"{name!r} is a name of the master's own")
    return name


def _arch_name(value: str) -> str:
    try:
        return check_arch_name(value)
    except ConfigError as error:
        raise ValueError(error.what) from error


ArchName = Annotated[str, AfterValidator(_arch_name)]
"""The name of an arch, as `check_arch_name` has it."""
