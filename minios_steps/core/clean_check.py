"""A clean build beside one with kept objects, and whether it gave the same bytes."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from minios_steps.core.build_folder import OBJECTS
from minios_steps.core.errors import MiniosError
from minios_steps.core.make import configure_command

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARK = "minios-check"
_CHECKED = re.compile(rf"^{_MARK}\t(same|differs)$", re.MULTILINE)

_CHECK = rf"""
configure=$1
shift
mkdir clean && cp {OBJECTS}/GNUmakefile {OBJECTS}/.config clean/ && cd clean || exit 1
eval "$configure" || exit 1
"$@" || exit 1
if cmp -s busybox ../{OBJECTS}/busybox && cmp -s busybox.links ../{OBJECTS}/busybox.links; then
    cd .. && rm -rf clean
    printf '{_MARK}\t%s\n' same
    exit 0
fi
cd ..
kept=$(cd -P {OBJECTS} && pwd -P) && rm -f {OBJECTS} && rm -rf "$kept" && mv clean {OBJECTS} || exit 1
printf '{_MARK}\t%s\n' differs
"""


def clean_check_command(arch: str, make: Sequence[str]) -> tuple[str, ...]:
    """The command that builds anew and compares, to be run in the build folder.

    Where the bytes differ, the clean folder is the object folder afterwards.

    Args:
        arch: the value of `make ARCH=`.
        make: the command that compiles in an object folder.
    """
    return ("sh", "-c", _CHECK, "check", shlex.join(configure_command(arch)), *make)


def parse_checked(answer: str) -> bool:
    """Whether the check found the same bytes.

    Raises:
        MiniosError: it did not say.
    """
    # The compiler's output comes first, and may say anything.
    found = _CHECKED.findall(answer)
    if not found:
        raise MiniosError("the worker did not say what the clean build gave", hint="see the step's log")
    return bool(found[-1] == "same")
